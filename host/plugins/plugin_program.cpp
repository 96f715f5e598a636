#include "plugins/plugin_program.hpp"

#include <fmt/format.h>

#include "ops/ops.hpp"
#include "plugins/library.hpp"
#include "plugins/session.hpp"
#include "vulkan/command.hpp"

namespace pumice::plugins {
namespace {

Error wrong(const std::string& what) {
    return {Code::invalid_argument, what};
}

Result<BufferRange> make_buffer(Device& device, std::uint64_t bytes, Intent intent, const char* what) {
    PUMICE_ASSIGN(auto buffer, device.allocator().create(bytes, intent, what));
    return BufferRange{buffer, 0, bytes};
}

}  // namespace

Result<std::unique_ptr<PluginProgram>> PluginProgram::create(DeviceSession& session, Arena& arena,
                                                             const pumice_program_options& options) {
    std::unique_ptr<PluginProgram> made(new PluginProgram(session, arena));
    made->name_ = options.name ? options.name : "network";
    made->build_ = options.build;
    made->data_ = options.data;
    PUMICE_ASSIGN(made->flag_,
                  make_buffer(*session.services().device, sizeof(std::uint32_t), Intent::shared, "overflow flag"));
    PUMICE_TRY(made->record(session.services().precision));
    return made;
}

Status PluginProgram::build(Graph& g) {
    declared_ = 0;
    outputs_.clear();
    const pumice_graph handle = session_.begin_building({&g, this, {}});
    std::string thrown;
    pumice_sdk_status status = PUMICE_SDK_OK;
    {
        const Marked inside(session_.session().marker(), true);
        status = call_plugin(thrown, [&] { return build_(data_, handle); });
    }
    session_.end_building(handle);
    if (const Error* error = g.error()) return Error{error->code, name_ + ": " + error->message};
    const std::string doing = "building " + name_;
    if (status != PUMICE_SDK_OK || !thrown.empty()) return session_.session().outcome(status, thrown, doing);
    if (outputs_.empty()) return wrong(doing + ": it declared no output");
    if (declared_ != inputs_.size())
        return wrong(
            fmt::format("{}: it declared {} inputs, and {} the time before", doing, declared_, inputs_.size()));
    return {};
}

Status PluginProgram::record(Precision precision) {
    program_.reset();
    precision_ = precision;
    const DeviceServices& services = session_.services();
    Graph g(services.device->caps(), precision, services.device->assumed_gflops());
    PUMICE_TRY(build(g));
    const TensorId flag = g.external({1, 1, 1, 1}, DType::i32, flag_, "overflow flag");
    for (const Output& output : outputs_) ops::check_finite(g, output.id, flag);
    PUMICE_TRY(session_.flush_weights());
    PUMICE_ASSIGN(program_, Program::compile(services.device, *services.kernels, arena_, g,
                                             {.profile = false, .name = name_.c_str()}));
    return {};
}

TensorId PluginProgram::add_input(Graph& g, Shape shape) {
    shape.c = (shape.c + 3) / 4 * 4;
    if (shape.elements() == 0 || shape.elements() > (std::uint64_t(1) << 32)) {
        g.fail(wrong(fmt::format("an input of {}x{}x{}x{}", shape.n, shape.h, shape.w, shape.c)));
        return {};
    }
    if (declared_ == inputs_.size()) {
        const auto& device = session_.services().device;
        auto range = make_buffer(*device, shape.elements() * sizeof(float), Intent::device, "a plugin's input");
        Status zeroed;
        if (range) {
            const std::vector<float> zeros(shape.elements());
            zeroed = write_range(device, *range, std::as_bytes(std::span(zeros)));
        }
        if (!range || !zeroed) {
            g.fail(range ? zeroed.error() : range.error());
            return {};
        }
        inputs_.push_back({shape, *range});
    }
    const Input& input = inputs_[declared_++];
    if (input.shape != shape) {
        g.fail(wrong(fmt::format("input {} has another shape than the time before", declared_ - 1)));
        return {};
    }
    return g.external(shape, DType::f32, input.range, "input");
}

void PluginProgram::add_output(Graph& g, TensorId id) {
    if (!id) return;
    if (g.dtype(id) != DType::f32) id = ops::cast(g, id, DType::f32);
    if (!id) return;
    if (!g.info(id).external.buffer) g.keep(id);
    outputs_.push_back({id, g.shape(id)});
}

Result<bool> PluginProgram::run_finite() {
    std::uint32_t flag = 0;
    const DeviceServices& services = session_.services();
    PUMICE_TRY(write_range(services.device, flag_, std::as_bytes(std::span(&flag, 1))));
    PUMICE_TRY(program_->run(services.cancel));
    PUMICE_TRY(read_range(services.device, flag_, std::as_writable_bytes(std::span(&flag, 1))));
    return flag == 0;
}

Status PluginProgram::run() {
    PUMICE_TRY(session_.session().check());
    PUMICE_ASSIGN(bool finite, run_finite());
    if (!finite && precision_ == Precision::fp16) {
        session_.session().log().warning("plugin {}: {} overflows in fp16 and is done again in fp32",
                                         session_.session().plugin(), name_);
        PUMICE_TRY(record(Precision::fp32));
        PUMICE_ASSIGN(finite, run_finite());
    }
    if (!finite)
        return Error{Code::not_finite, name_ + " gave NaN or infinity in fp32: its weights are damaged, or not for it"};
    return {};
}

Status PluginProgram::write(std::uint32_t input, std::span<const float> values) {
    if (input >= inputs_.size()) return wrong(fmt::format("{} has no input {}", name_, input));
    if (values.size() != inputs_[input].shape.elements())
        return wrong(fmt::format("input {} of {} has {} numbers, not {}", input, name_, inputs_[input].shape.elements(),
                                 values.size()));
    return write_range(session_.services().device, inputs_[input].range, std::as_bytes(values));
}

Status PluginProgram::read(std::uint32_t output, std::span<float> values) {
    if (output >= outputs_.size()) return wrong(fmt::format("{} has no output {}", name_, output));
    if (values.size() != outputs_[output].shape.elements())
        return wrong(fmt::format("output {} of {} has {} numbers, not {}", output, name_,
                                 outputs_[output].shape.elements(), values.size()));
    return read_range(session_.services().device, program_->range(outputs_[output].id), std::as_writable_bytes(values));
}

Status PluginProgram::write_picture(std::uint32_t input, const Picture& picture, std::int32_t x, std::int32_t y) {
    if (input >= inputs_.size()) return wrong(fmt::format("{} has no input {}", name_, input));
    const Shape& shape = inputs_[input].shape;
    if (shape.n != 1 || shape.c != 4) return wrong(fmt::format("input {} of {} is no picture", input, name_));
    std::vector<float> values(shape.elements());
    picture.read(x, y, shape.w, shape.h, values.data());
    return write(input, values);
}

Status PluginProgram::read_picture(std::uint32_t output, const Rectangle& from, Picture& picture, std::uint32_t x,
                                   std::uint32_t y, std::uint32_t channels) {
    if (output >= outputs_.size()) return wrong(fmt::format("{} has no output {}", name_, output));
    const Shape& shape = outputs_[output].shape;
    if (shape.n != 1 || shape.c != 4) return wrong(fmt::format("output {} of {} is no picture", output, name_));
    const auto inside = [](std::uint64_t at, std::uint64_t size, std::uint64_t all) { return at + size <= all; };
    if (!inside(from.x, from.width, shape.w) || !inside(from.y, from.height, shape.h) ||
        !inside(x, from.width, picture.width()) || !inside(y, from.height, picture.height()))
        return wrong(fmt::format("{}x{} pixels from ({}, {}) of {}x{} do not fit at ({}, {}) of {}x{}", from.width,
                                 from.height, from.x, from.y, shape.w, shape.h, x, y, picture.width(),
                                 picture.height()));
    if (from.width == 0 || from.height == 0) return {};
    std::vector<float> values(shape.elements());
    PUMICE_TRY(read(output, values));
    const std::size_t stride = std::size_t(shape.w) * 4;
    picture.write(x, y, from.width, from.height, values.data() + from.y * stride + std::size_t(from.x) * 4, stride,
                  channels);
    return {};
}

}  // namespace pumice::plugins
