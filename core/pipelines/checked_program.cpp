#include "pipelines/checked_program.hpp"

#include <algorithm>

#include "ops/ops.hpp"
#include "vulkan/command.hpp"
#include "vulkan/vk_error.hpp"

namespace pumice {

Result<BufferRange> make_range(Device& device, std::uint64_t bytes, Intent intent, const char* what) {
    PUMICE_ASSIGN(auto buffer, device.allocator().create(bytes, intent, what));
    return BufferRange{buffer, 0, bytes};
}

namespace {

/// What the graph's activations need beyond what the arena has.
std::uint64_t activation_bytes(const Graph& g, const Arena* arena) {
    std::uint64_t sum = 0;
    const std::vector<std::uint64_t> pages = plan_for(g).page_sizes;
    for (std::size_t i = 0; i < pages.size(); ++i) {
        // A page that grows is given back before the larger one is made, but programs may hold on to it.
        if (!arena || pages[i] > arena->page_bytes(i)) sum += pages[i];
    }
    return sum;
}

std::uint64_t weight_alignment(const Device& device) {
    return std::max<std::uint64_t>(256, device.caps().storage_offset_alignment);
}

/// Shares `free` bytes among activations and weights.
Result<ProgramPlan> share(const Device& device, const WeightSet& weights, const WeightUses& uses,
                          std::uint64_t activations, const std::string& name, std::uint64_t free) {
    ProgramPlan plan;
    plan.weights = uses.total(weight_alignment(device));
    plan.activations = activations;
    const auto failed = [&](const std::string& why) {
        return Error{Code::out_of_device_memory,
                     "no device memory for the " + name + ", which needs " + bytes_text(activations) +
                         " beside its weights: " + why + "; ask for a smaller picture or batch, or allow more memory"};
    };
    if (activations > free) return failed(bytes_text(free) + " are free");
    auto stream = plan_stream(uses, free - activations + weights.reusable_bytes(), weight_alignment(device),
                              weights.slots());
    if (!stream) return failed(stream.error().message);
    plan.stream = *std::move(stream);
    return plan;
}

}  // namespace

Result<std::unique_ptr<CheckedProgram>> CheckedProgram::create(Model& model, WeightSet& weights, Options options) {
    std::unique_ptr<CheckedProgram> made(new CheckedProgram(model, weights, std::move(options)));
    PUMICE_ASSIGN(made->flag_, make_range(*model.device(), sizeof(std::uint32_t), Intent::shared, "overflow flag"));
    PUMICE_TRY(made->record(model.precision()));
    return made;
}

Status CheckedProgram::record(Precision precision) {
    program_.reset();
    stream_.reset();
    arena_.release();
    precision_ = precision;
    const std::shared_ptr<Device>& device = model_.device();
    Graph g(device->caps(), precision, device->assumed_gflops());
    g.set_seamless(options_.seamless);
    weights_.begin_planning();
    const std::vector<TensorId> outputs = options_.build_all ? options_.build_all(g) : std::vector{options_.build(g)};
    if (const Error* error = g.error()) {
        weights_.forget_planned();
        return *error;
    }
    const TensorId flag = g.external({1, 1, 1, 1}, DType::i32, flag_, "overflow flag");
    for (const TensorId output : outputs) ops::check_finite(g, output, flag);
    PUMICE_TRY(bring_weights(g));
    PUMICE_ASSIGN(program_, Program::compile(device, *model_.kernels(), options_.arena ? *options_.arena : arena_, g,
                                             {.profile = options_.profile,
                                              .segments = stream_ ? stream_->first_nodes() : std::vector<std::uint32_t>{},
                                              .feed = stream_.get(),
                                              .name = options_.name.c_str()}));
    return {};
}

Result<ProgramPlan> CheckedProgram::plan(Model& model, WeightSet& weights, const Options& options, std::uint64_t free) {
    const std::shared_ptr<Device>& device = model.device();
    Graph g(device->caps(), model.precision(), device->assumed_gflops());
    g.set_seamless(options.seamless);
    weights.begin_planning();
    if (options.build_all) (void)options.build_all(g);
    else (void)options.build(g);
    auto plan = g.error() ? Result<ProgramPlan>(*g.error())
                          : share(*device, weights, weights.planned_uses(g), activation_bytes(g, options.arena),
                                  options.name, free);
    weights.forget_planned();
    return plan;
}

Status CheckedProgram::bring_weights(Graph& g) {
    const Device& device = *model_.device();
    const WeightUses uses = weights_.planned_uses(g);
    const std::uint64_t weights = uses.total(weight_alignment(device));
    const std::uint64_t activations = activation_bytes(g, options_.arena ? options_.arena : &arena_);
    const std::uint64_t needed = weights - std::min(weights, weights_.reusable_bytes()) + activations;
    const std::uint64_t room = model_.make_room(needed, &weights_);
    auto plan = share(device, weights_, uses, activations, options_.name, room);
    if (!plan) {
        weights_.forget_planned();
        return std::move(plan.error());
    }
    PUMICE_ASSIGN(stream_, weights_.bring(g, plan->stream));
    if (!stream_) return {};
    model_.note_tight();
    device.log().info("{}: {} of weights stay on the device, {} come and go in {} parts", options_.name,
                      bytes_text(plan->stream.resident_bytes), bytes_text(plan->stream.streamed_bytes),
                      plan->stream.segments.size());
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
