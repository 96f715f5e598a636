// The device that plugins of pictures and control networks are run on.
#include <algorithm>

#include "graph/program.hpp"
#include "ops/ops.hpp"
#include "verify/suite.hpp"
#include "vulkan/instance.hpp"

namespace pumice::verify {

namespace {

/// A first program, for which drivers start what threads they have.
Status warm_up(const plugins::DeviceServices& services) {
    PUMICE_ASSIGN(const auto buffer, services.device->allocator().create(64, Intent::device, "a first input"));
    Graph g(services.device->caps(), services.precision);
    const TensorId x = g.external({1, 1, 4, 4}, DType::f32, {buffer, 0, 64}, "input");
    g.keep(ops::activation(g, x, ops::Activation::relu));
    Arena arena;
    PUMICE_ASSIGN(const auto program, Program::compile(services.device, *services.kernels, arena, g, {}));
    return program->run();
}

}  // namespace

const GivenFile* Subject::find(const std::string& name) const {
    const auto found =
        std::find_if(given.begin(), given.end(), [&](const GivenFile& each) { return each.name == name; });
    return found == given.end() ? nullptr : &*found;
}

void Complaints::add(const std::string& message) {
    const std::lock_guard lock(mutex_);
    if (first_.empty()) first_ = message;
}

std::string Complaints::first() const {
    const std::lock_guard lock(mutex_);
    return first_;
}

void open_device(Subject& subject, const std::string& wanted, std::shared_ptr<Complaints> complaints) {
    subject.no_device = "no Vulkan device is to be used";
    if (wanted == "none") return;
    InstanceOptions options;
    options.validation = Instance::validation_available();
    options.on_validation_message = [complaints](const std::string& message) { complaints->add(message); };
    const auto open = [&]() -> Result<std::shared_ptr<Device>> {
        PUMICE_ASSIGN(auto instance, Instance::create(options));
        return Device::create(std::move(instance), {wanted, {}, {}});
    };
    const auto device = open();
    if (!device) {
        subject.no_device = "no Vulkan device: " + device.error().message;
        return;
    }
    subject.device.device = *device;
    subject.device.kernels = std::make_shared<KernelCache>(*device);
    subject.device.precision = Precision::fp32;
    const Status warm = warm_up(subject.device);
    if (warm) return;
    subject.no_device = "the Vulkan device does not work: " + warm.error().message;
    subject.device = {};
}

}  // namespace pumice::verify
