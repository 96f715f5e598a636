#include "pipelines/guided_denoiser.hpp"

namespace pumice {
namespace {

std::vector<float> joined(std::span<const Conditioning* const> rows) {
    std::vector<float> values;
    for (const Conditioning* row : rows) values.insert(values.end(), row->values.begin(), row->values.end());
    return values;
}

}  // namespace

Result<std::unique_ptr<GuidedDenoiser>> GuidedDenoiser::create(Model& model, GpuTensorMath& math, const Shape& shape,
                                                               const GuidanceOptions& options) {
    std::unique_ptr<GuidedDenoiser> made(new GuidedDenoiser(model, math));
    made->shape_ = shape;
    made->options_ = options;
    PUMICE_ASSIGN(made->input_, math.create_latent());
    PUMICE_ASSIGN(made->output_, math.create_latent());
    if (options.controls) made->controls_ = options.controls->active(0);
    if (options.method) {
        PUMICE_ASSIGN(made->uncond_output_, math.create_latent());
        PUMICE_ASSIGN(made->cond_kept_, math.create_latent());
        if (!options.method->perturbed_blocks().empty()) {
            PUMICE_ASSIGN(made->perturbed_kept_, math.create_latent());
        }
    }
    return made;
}

Result<UnetDenoiser*> GuidedDenoiser::unet(std::uint32_t tokens, Kind kind, ControlSet::Mask controls) {
    auto& place = unets_[{tokens, kind, controls}];
    if (!place) {
        UnetDenoiserOptions options{.pictures = shape_.n,
                                    .height = shape_.h,
                                    .width = shape_.w,
                                    .context_tokens = tokens,
                                    .guidance = kind == Kind::joined || kind == Kind::apart,
                                    .profile = options_.profile};
        if (kind == Kind::apart) options.uncond = math_.range(uncond_output_);
        options.controls = options_.controls;
        options.active_controls = controls;
        options.arena = &arena_;
        if (kind == Kind::perturbed) options.perturbed = options_.method->perturbed_blocks();
        PUMICE_ASSIGN(place, UnetDenoiser::create(model_, math_.range(input_), math_.range(output_), options));
    }
    return place.get();
}

Status GuidedDenoiser::set_conditioning(std::span<const Conditioning* const> cond,
                                        std::span<const Conditioning* const> uncond) {
    cond_context_ = joined(cond);
    uncond_context_ = joined(uncond);
    cond_tokens_ = cond[0]->tokens;
    uncond_tokens_ = uncond.empty() ? 0 : uncond[0]->tokens;
    return select();
}

Status GuidedDenoiser::set_progress(double progress) {
    const ControlSet::Mask now = options_.controls ? options_.controls->active(progress) : 0;
    if (now == controls_) return {};
    controls_ = now;
    return cond_tokens_ == 0 ? Status{} : select();
}

Status GuidedDenoiser::select() {
    both_ = cond_ = uncond_ = perturbed_ = nullptr;
    if (options_.method && !options_.method->perturbed_blocks().empty()) {
        PUMICE_ASSIGN(perturbed_, unet(cond_tokens_, Kind::perturbed, controls_));
        PUMICE_TRY(perturbed_->set_context(cond_context_));
    }
    if (options_.scale <= 1) {
        PUMICE_ASSIGN(cond_, unet(cond_tokens_, Kind::one, controls_));
        return cond_->set_context(cond_context_);
    }
    if (cond_tokens_ == uncond_tokens_) {
        PUMICE_ASSIGN(both_, unet(cond_tokens_, options_.method ? Kind::apart : Kind::joined, controls_));
        std::vector<float> context = uncond_context_;
        context.insert(context.end(), cond_context_.begin(), cond_context_.end());
        return both_->set_context(context);
    }
    const ControlSet::Mask of_uncond = options_.controls ? controls_ & ~options_.controls->conditional_only() : 0;
    PUMICE_ASSIGN(cond_, unet(cond_tokens_, Kind::one, controls_));
    PUMICE_ASSIGN(uncond_, unet(uncond_tokens_, Kind::one, of_uncond));
    PUMICE_TRY(cond_->set_context(cond_context_));
    return uncond_->set_context(uncond_context_);
}

Status GuidedDenoiser::run(UnetDenoiser& unet, double sigma, double guidance_scale, bool conditional) {
    const Prediction prediction = model_.config().v_prediction ? Prediction::v : Prediction::eps;
    const DenoiserScalings scalings = denoiser_scalings(prediction, sigma);
    const DenoiseParameters p{.c_in = static_cast<float>(scalings.c_in),
                              .c_skip = static_cast<float>(scalings.c_skip),
                              .c_out = static_cast<float>(scalings.c_out),
                              .timestep = static_cast<float>(table_.sigma_to_t(sigma, options_.rounding)),
                              .guidance_scale = static_cast<float>(guidance_scale),
                              .conditional = conditional};
    return unet.run(p, options_.cancel);
}

Status GuidedDenoiser::denoise(const Latent& x, double sigma, const Latent& denoised) {
    if (!both_ && !cond_) return Error{Code::internal, "denoise before set_conditioning"};
    PUMICE_TRY(math_.combine(input_, {{1, x}}));
    if (options_.method) return denoise_by_method(x, sigma, denoised);
    if (both_) {
        PUMICE_TRY(run(*both_, sigma, options_.scale));
        return math_.combine(denoised, {{1, output_}});
    }
    PUMICE_TRY(run(*cond_, sigma, 1));
    if (!uncond_) return math_.combine(denoised, {{1, output_}});
    PUMICE_TRY(math_.combine(denoised, {{options_.scale, output_}}));
    PUMICE_TRY(run(*uncond_, sigma, 1, false));
    return math_.combine(denoised, {{1, denoised}, {1 - options_.scale, output_}});
}

/// Each prediction is copied out of the networks' output, which the next one writes to; a plugin may write to what it is
/// given.
Status GuidedDenoiser::denoise_by_method(const Latent& x, double sigma, const Latent& denoised) {
    if (perturbed_) {
        PUMICE_TRY(run(*perturbed_, sigma, 1));
        PUMICE_TRY(math_.combine(perturbed_kept_, {{1, output_}}));
    }
    PUMICE_TRY(run(both_ ? *both_ : *cond_, sigma, 1));
    PUMICE_TRY(math_.combine(cond_kept_, {{1, output_}}));
    if (uncond_) {
        PUMICE_TRY(run(*uncond_, sigma, 1, false));
        PUMICE_TRY(math_.combine(uncond_output_, {{1, output_}}));
    }
    const bool guided = both_ || uncond_;
    return options_.method->run({.math = math_,
                                 .x = x,
                                 .cond = cond_kept_,
                                 .uncond = guided ? uncond_output_ : cond_kept_,
                                 .perturbed = perturbed_ ? &perturbed_kept_ : nullptr,
                                 .denoised = denoised,
                                 .sigma = sigma,
                                 .scale = options_.scale});
}

std::vector<UnetDenoiser*> GuidedDenoiser::used() const {
    std::vector<UnetDenoiser*> used;
    for (UnetDenoiser* unet : {both_, uncond_, cond_, perturbed_})
        if (unet) used.push_back(unet);
    return used;
}

bool GuidedDenoiser::fell_back() const {
    for (const auto& [key, unet] : unets_)
        if (unet && unet->fell_back()) return true;
    return false;
}

std::vector<Program*> GuidedDenoiser::programs() {
    std::vector<Program*> programs;
    for (UnetDenoiser* unet : used()) programs.push_back(&unet->program());
    return programs;
}

double GuidedDenoiser::flops() const {
    double sum = 0;
    for (UnetDenoiser* unet : used()) sum += unet->program().flops();
    return sum;
}

}  // namespace pumice
