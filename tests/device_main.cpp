// main() of the device tests: runs them, closes the shared device, and fails when the validation layer said anything.
#define CATCH_CONFIG_RUNNER
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "catch.hpp"
#include "device_fixture.hpp"

namespace pumice::test {
namespace {

std::unique_ptr<Gpu> shared_gpu;
std::mutex message_mutex;
std::size_t message_count = 0;

void on_validation_message(const std::string& message) {
    const std::lock_guard lock(message_mutex);
    ++message_count;
    std::fprintf(stderr, "validation message: %s\n", message.c_str());
}

template <class T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
}

/// Names the running test on stderr when it is where a validation message came from.
struct Listener
#if __has_include(<catch2/catch_all.hpp>)
    : Catch::EventListenerBase {
    using EventListenerBase::EventListenerBase;
#else
    : Catch::TestEventListenerBase {
    using TestEventListenerBase::TestEventListenerBase;
#endif
    std::size_t before = 0;
    std::string name;
    void testCaseStarting(const Catch::TestCaseInfo& test) override {
        const std::lock_guard lock(message_mutex);
        before = message_count;
        name = test.name;
    }
    void testCaseEnded(const Catch::TestCaseStats&) override {
        const std::lock_guard lock(message_mutex);
        if (message_count == before) return;
        std::fprintf(stderr, "%zu validation messages in \"%s\"\n", message_count - before, name.c_str());
    }
};

CATCH_REGISTER_LISTENER(Listener)

}  // namespace

Gpu& gpu() {
    if (shared_gpu) return *shared_gpu;
    InstanceOptions options;
    options.validation = Instance::validation_available();
    if (!options.validation) std::fprintf(stderr, "the validation layer is not installed: nothing is validated\n");
    options.gpu_assisted = options.validation && std::getenv("PUMICE_TEST_GPU_ASSISTED");
    options.on_validation_message = on_validation_message;
    auto instance = value_of(Instance::create(options));
    const char* wanted = std::getenv("PUMICE_TEST_DEVICE");
    auto device = value_of(Device::create(instance, {wanted ? wanted : "", {}, {}}));
    shared_gpu.reset(new Gpu{instance, device, KernelCache(device)});  // in place: a KernelCache does not move
    return *shared_gpu;
}

std::shared_ptr<Device> fresh_device(DeviceOptions options) {
    options.wanted = std::to_string(gpu().device->caps().index);
    return value_of(Device::create(gpu().instance, options));
}

}  // namespace pumice::test

int main(int argc, char** argv) {
    const int failed = Catch::Session().run(argc, argv);
    pumice::test::shared_gpu.reset();  // what is left over at the end is a message too
    if (pumice::test::message_count == 0) return failed;
    std::fprintf(stderr, "%zu validation messages: failed\n", pumice::test::message_count);
    return failed ? failed : 1;
}
