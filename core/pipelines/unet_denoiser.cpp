#include "pipelines/unet_denoiser.hpp"

#include <array>
#include <string>
#include <vector>

#include "models/unet.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

// Places in the parameter buffer, in floats. The time steps are a tensor of their own and start at the largest
// alignment a device may ask for.
enum Parameter : std::uint32_t { kCIn = 0, kCSkip = 1, kCOut = 2, kGuidance = 3, kParameters = 4 };
constexpr std::uint64_t kAlignment = 256;

}  // namespace

Result<std::unique_ptr<UnetDenoiser>> UnetDenoiser::create(Model& model, const BufferRange& x_range,
                                                           const BufferRange& denoised_range,
                                                           const UnetDenoiserOptions& options) {
    CheckedProgram::Options program;
    PUMICE_ASSIGN(auto made, prepare(model, x_range, denoised_range, options, false, program));
    PUMICE_ASSIGN(made->program_, CheckedProgram::create(model, model.unet_weights(), std::move(program)));
    return made;
}

Result<ProgramPlan> UnetDenoiser::plan(Model& model, const UnetDenoiserOptions& options, std::uint64_t free) {
    const std::uint64_t bytes = std::uint64_t(options.pictures) * options.height * options.width * 4 * sizeof(float);
    const BufferRange latent{Buffer::placeholder(), 0, bytes};
    CheckedProgram::Options program;
    PUMICE_ASSIGN(const auto made, prepare(model, latent, latent, options, true, program));
    return CheckedProgram::plan(model, model.unet_weights(), program, free);
}

Result<std::unique_ptr<UnetDenoiser>> UnetDenoiser::prepare(Model& model, const BufferRange& x_range,
                                                            const BufferRange& denoised_range,
                                                            const UnetDenoiserOptions& options, bool planning,
                                                            CheckedProgram::Options& program) {
    const auto make_range = [planning](Device& on, std::uint64_t bytes, Intent intent,
                                       const char* what) -> Result<BufferRange> {
        if (planning) return BufferRange{Buffer::placeholder(), 0, bytes};
        return pumice::make_range(on, bytes, intent, what);
    };
    std::unique_ptr<UnetDenoiser> made(new UnetDenoiser);
    made->device_ = model.device();
    Device& device = *model.device();
    const UnetConfig& config = model.config().unet;
    const std::uint32_t repeat = options.guidance ? 2 : 1, rows = options.pictures * repeat;
    const Shape latent{options.pictures, options.height, options.width, 4};
    const Shape context{rows, 1, options.context_tokens, config.context_channels};
    PUMICE_ASSIGN(made->context_,
                  make_range(device, context.elements() * sizeof(float), Intent::device, "conditioning"));
    PUMICE_ASSIGN(made->params_,
                  make_range(device, kAlignment + rows * sizeof(float), Intent::shared, "step parameters"));
    made->timesteps_ = {made->params_.buffer, kAlignment, rows * sizeof(float)};
    made->params_.size = kParameters * sizeof(float);
    const Shape vector{rows, 1, 1, config.vector_channels};
    if (config.vector_channels > 0) {
        PUMICE_ASSIGN(made->vector_, make_range(device, vector.elements() * sizeof(float), Intent::device, "vector"));
    }
    // Weights of 9 channels are stored as 12, and those of 8 as 8.
    const Shape extra{rows, options.height, options.width, (config.in_channels - latent.c + 3) / 4 * 4};
    if (extra.c > 0) {
        PUMICE_ASSIGN(made->extra_, make_range(device, extra.elements() * sizeof(float), Intent::device, "extra"));
    }
    made->rows_ = rows;
    made->unconditional_rows_ = options.guidance ? options.pictures : 0;
    if (options.active_controls) {
        made->controls_ = options.controls;
        PUMICE_ASSIGN(made->control_params_,
                      make_range(device, ControlSet::params(options.active_controls, rows) * sizeof(float),
                                 Intent::shared, "control weights"));
        const float one = 1;
        BufferRange last = made->control_params_;
        last.offset += last.size - sizeof(one);
        last.size = sizeof(one);
        PUMICE_TRY(write_range(made->device_, last, std::as_bytes(std::span(&one, 1))));
    }

    const auto build = [&model, &config, d = made.get(), x_range, denoised_range, latent, context, vector,
                        extra, repeat, options](Graph& g) {
        const TensorId x = g.external(latent, DType::f32, x_range, "x");
        const TensorId params = g.external({1, 1, 1, kParameters}, DType::f32, d->params_, "parameters");
        UnetInputs inputs{.x = ops::scale_by(g, x, params, kCIn, g.activation(), repeat),
                          .timesteps = g.external({1, 1, 1, context.n}, DType::f32, d->timesteps_, "timesteps"),
                          .context = ops::cast(g, g.external(context, DType::f32, d->context_, "context"),
                                               g.activation()),
                          .head_channels = config.head_channels,
                          .perturbed = options.perturbed};
        if (vector.c > 0) inputs.vector = g.external(vector, DType::f32, d->vector_, "vector");
        std::vector<UnetResidual> residuals;
        if (d->controls_) {
            const Shape shape{1, 1, 1, static_cast<std::uint32_t>(d->control_params_.size / sizeof(float))};
            residuals = d->controls_->append(
                g, options.active_controls,
                {.x = inputs.x, .timesteps = inputs.timesteps, .context = inputs.context, .vector = inputs.vector,
                 .prepared = {}},
                g.external(shape, DType::f32, d->control_params_, "control weights"), d->control_uses_);
            if (g.error()) return TensorId{};
            inputs.residuals = residuals;
        }
        // After the controls, which know the noisy latent alone.
        if (extra.c > 0)
            inputs.x = ops::concat(
                g, inputs.x, ops::cast(g, g.external(extra, DType::f32, d->extra_, "extra"), g.activation()));
        const TensorId output = unet(g, model.unet_weights(), inputs, config.heads);
        if (g.error()) return TensorId{};
        const TensorId denoised = g.external(latent, DType::f32, denoised_range, "denoised");
        if (options.uncond.buffer) {
            const TensorId uncond = g.external(latent, DType::f32, options.uncond, "uncond");
            ops::guide_half(g, x, output, 0, params, kCSkip, uncond);
            ops::guide_half(g, x, output, 1, params, kCSkip, denoised);
        } else {
            ops::guide(g, x, output, params, kCSkip, denoised);
        }
        return output;
    };
    program = {.name = "UNet",
               .profile = options.profile,
               .seamless = options.seamless,
               .build = build,
               .arena = options.arena};
    return made;
}

Status UnetDenoiser::set(const BufferRange& range, const char* what, std::span<const float> values) {
    if (values.size_bytes() != range.size)
        return Error{Code::internal, std::string(what) + " of " + std::to_string(values.size_bytes()) +
                                         " bytes, expected " + std::to_string(range.size)};
    return values.empty() ? Status{} : write_range(device_, range, std::as_bytes(values));
}

Status UnetDenoiser::run(const DenoiseParameters& p, const std::atomic<bool>* cancel) {
    const std::array<float, kParameters> params{p.c_in, p.c_skip, p.c_out, p.guidance_scale};
    PUMICE_TRY(write_range(device_, params_, std::as_bytes(std::span(params))));
    const std::vector<float> timesteps(timesteps_.size / sizeof(float), p.timestep);
    PUMICE_TRY(write_range(device_, timesteps_, std::as_bytes(std::span(timesteps))));
    if (controls_) PUMICE_TRY(write_control_weights(p.conditional));
    return program_->run(cancel);
}

Status UnetDenoiser::write_control_weights(bool conditional) {
    std::vector<float> weights;
    for (const ControlSet::Use& use : control_uses_)
        for (std::uint32_t row = 0; row < rows_; ++row)
            weights.push_back(controls_->weight(use, row >= unconditional_rows_ && conditional));
    if (weights.empty()) return {};
    return write_range(device_, {control_params_.buffer, control_params_.offset, weights.size() * sizeof(float)},
                       std::as_bytes(std::span(weights)));
}

}  // namespace pumice
