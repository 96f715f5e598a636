#include "pipelines/checked_program.hpp"

#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {

Result<BufferRange> make_range(Device& device, std::uint64_t bytes, Intent intent, const char* what) {
    PUMICE_ASSIGN(auto buffer, device.allocator().create(bytes, intent, what));
    return BufferRange{buffer, 0, bytes};
}

Result<std::unique_ptr<CheckedProgram>> CheckedProgram::create(Model& model, WeightSet& weights, Options options) {
    std::unique_ptr<CheckedProgram> made(new CheckedProgram(model, weights, std::move(options)));
    PUMICE_ASSIGN(made->flag_, make_range(*model.device(), sizeof(std::uint32_t), Intent::shared, "overflow flag"));
    PUMICE_TRY(made->record(model.precision()));
    return made;
}

Status CheckedProgram::record(Precision precision) {
    program_.reset();
    arena_.release();
    precision_ = precision;
    const std::shared_ptr<Device>& device = model_.device();
    Graph g(device->caps(), precision, device->assumed_gflops());
    g.set_seamless(options_.seamless);
    const std::vector<TensorId> outputs = options_.build_all ? options_.build_all(g) : std::vector{options_.build(g)};
    if (const Error* error = g.error()) return *error;
    const TensorId flag = g.external({1, 1, 1, 1}, DType::i32, flag_, "overflow flag");
    for (const TensorId output : outputs) ops::check_finite(g, output, flag);
    PUMICE_TRY(weights_.flush());
    PUMICE_ASSIGN(program_, Program::compile(device, *model_.kernels(), options_.arena ? *options_.arena : arena_, g,
                                             {.profile = options_.profile, .name = options_.name.c_str()}));
    return {};
}

Result<bool> CheckedProgram::run_finite(const std::atomic<bool>* cancel) {
    std::uint32_t flag = 0;
    PUMICE_TRY(write_range(model_.device(), flag_, std::as_bytes(std::span(&flag, 1))));
    PUMICE_TRY(program_->run(cancel));
    PUMICE_TRY(read_range(model_.device(), flag_, std::as_writable_bytes(std::span(&flag, 1))));
    return flag == 0;
}

Status CheckedProgram::run(const std::atomic<bool>* cancel) {
    PUMICE_ASSIGN(bool finite, run_finite(cancel));
    if (!finite && precision_ == Precision::fp16) {
        fell_back_ = true;
        PUMICE_TRY(record(Precision::fp32));
        PUMICE_ASSIGN(finite, run_finite(cancel));
    }
    if (!finite)
        return Error{Code::not_finite, "the " + options_.name + " gave NaN or infinity in fp32: the weights in " +
                                           model_.file().path() + " are damaged, or the guidance scale is far too high"};
    return {};
}

}  // namespace pumice
