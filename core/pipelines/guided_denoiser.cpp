#include "pipelines/guided_denoiser.hpp"

#include <algorithm>

namespace pumice {
namespace {

/// The rows' values, or vectors, one after the other.
std::vector<float> joined(std::span<const Conditioning* const> rows, std::vector<float> Conditioning::*member) {
    std::vector<float> values;
    for (const Conditioning* row : rows) values.insert(values.end(), (row->*member).begin(), (row->*member).end());
    return values;
}

}  // namespace

bool edits(const ModelConfig& config) {
    return config.unet.in_channels == 2 * config.unet.out_channels;
}

bool inpaints(const ModelConfig& config) {
    return config.unet.in_channels == 2 * config.unet.out_channels + 1;
}

SigmaTable sigma_table(const ModelConfig& config) {
    return config.zero_terminal_snr ? SigmaTable::zero_terminal_snr() : SigmaTable::scaled_linear();
}

Result<std::unique_ptr<GuidedDenoiser>> GuidedDenoiser::create(Model& model, GpuTensorMath& math, const Shape& shape,
                                                               const GuidanceOptions& options) {
    std::unique_ptr<GuidedDenoiser> made(new GuidedDenoiser(model, math));
    made->shape_ = shape;
    made->options_ = options;
    PUMICE_ASSIGN(made->input_, math.create_latent());
    PUMICE_ASSIGN(made->output_, math.create_latent());
    if (options.controls) made->controls_ = options.controls->active(0);
    if (made->apart()) {
        PUMICE_ASSIGN(made->uncond_output_, math.create_latent());
        PUMICE_ASSIGN(made->cond_kept_, math.create_latent());
    }
    if (options.method && !options.method->perturbed_blocks().empty()) {
        PUMICE_ASSIGN(made->perturbed_kept_, math.create_latent());
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
                                    .profile = options_.profile,
                                    .seamless = options_.seamless};
        if (kind == Kind::apart) options.uncond = math_.range(uncond_output_);
        options.controls = options_.controls;
        options.active_controls = controls;
        options.arena = &arena_;
        if (kind == Kind::perturbed) options.perturbed = options_.method->perturbed_blocks();
        PUMICE_ASSIGN(place, UnetDenoiser::create(model_, math_.range(input_), math_.range(output_), options));
    }
    return place.get();
}

std::vector<float> GuidedDenoiser::extra_rows(std::uint32_t repeat) const {
    std::vector<float> rows;
    for (std::uint32_t i = 0; i < repeat; ++i) rows.insert(rows.end(), options_.extra.begin(), options_.extra.end());
    return rows;
}

Status GuidedDenoiser::set_both() {
    const std::vector<const Conditioning*>& cond = parts_[0].pictures;
    PUMICE_ASSIGN(both_, unet(cond[0]->tokens, apart() ? Kind::apart : Kind::joined, controls_));
    std::vector<const Conditioning*> rows = uncond_rows_;
    rows.insert(rows.end(), cond.begin(), cond.end());
    PUMICE_TRY(both_->set_context(joined(rows, &Conditioning::values)));
    PUMICE_TRY(both_->set_vector(joined(rows, &Conditioning::vector)));
    return both_->set_extra(extra_rows(2));
}

Status GuidedDenoiser::add_pass(std::span<const Conditioning* const> rows, double share, double cond, bool conditional,
                                bool pictured) {
    ControlSet::Mask controls = controls_;
    if (!conditional && options_.controls) controls &= ~options_.controls->conditional_only();
    PUMICE_ASSIGN(UnetDenoiser* const network, unet(rows[0]->tokens, Kind::one, controls));
    std::vector<float> extra = options_.extra;
    if (!pictured) std::fill(extra.begin(), extra.end(), 0.0f);
    passes_.push_back({network, joined(rows, &Conditioning::values), joined(rows, &Conditioning::vector),
                       std::move(extra), share, cond, conditional});
    return {};
}

Status GuidedDenoiser::set_conditioning(std::span<const Conditioning* const> cond,
                                        std::span<const Conditioning* const> uncond) {
    const GuidedPart part{{cond.begin(), cond.end()}, 1};
    return set_conditioning({&part, 1}, uncond);
}

Status GuidedDenoiser::set_conditioning(std::span<const GuidedPart> parts,
                                        std::span<const Conditioning* const> uncond) {
    parts_.assign(parts.begin(), parts.end());
    uncond_rows_.assign(uncond.begin(), uncond.end());
    return select();
}

Status GuidedDenoiser::set_progress(double progress) {
    const ControlSet::Mask now = options_.controls ? options_.controls->active(progress) : 0;
    if (now == controls_) return {};
    controls_ = now;
    return parts_.empty() ? Status{} : select();
}

Status GuidedDenoiser::set_extra(std::vector<float> extra) {
    options_.extra = std::move(extra);
    return parts_.empty() ? Status{} : select();
}

Status GuidedDenoiser::select() {
    both_ = perturbed_ = nullptr;
    passes_.clear();
    const std::vector<const Conditioning*>& first = parts_[0].pictures;
    if (options_.method && !options_.method->perturbed_blocks().empty()) {
        PUMICE_ASSIGN(perturbed_, unet(first[0]->tokens, Kind::perturbed, controls_));
        PUMICE_TRY(perturbed_->set_context(joined(first, &Conditioning::values)));
        PUMICE_TRY(perturbed_->set_vector(joined(first, &Conditioning::vector)));
        PUMICE_TRY(perturbed_->set_extra(options_.extra));
    }
    const double scale = std::max(options_.scale, 1.0);
    if (edits(model_.config())) {
        if (parts_.size() > 1 || apart())
            return Error{Code::unsupported,
                         "a model that edits pictures takes one prompt, without AND, no other method "
                         "of guidance, and no sampler that has its own"};
        PUMICE_TRY(add_pass(first, scale, 1, true, true));
        PUMICE_TRY(add_pass(uncond_rows_, options_.image_scale - scale, 0, false, true));
        return add_pass(uncond_rows_, 1 - options_.image_scale, 0, false, false);
    }
    double sum = 0;
    for (const GuidedPart& part : parts_) sum += part.weight;
    both_scale_ = scale * sum;
    const bool guided = options_.unconditional || both_scale_ != 1;
    if (guided && parts_.size() == 1 && (!apart() || sum == 1) && first[0]->tokens == uncond_rows_[0]->tokens)
        return set_both();
    for (const GuidedPart& part : parts_)
        PUMICE_TRY(add_pass(part.pictures, scale * part.weight, part.weight, true, true));
    if (guided) PUMICE_TRY(add_pass(uncond_rows_, 1 - both_scale_, 1 - sum, false, true));
    return {};
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

Status GuidedDenoiser::run_pass(const Pass& pass, double sigma) {
    PUMICE_TRY(pass.unet->set_context(pass.context));
    PUMICE_TRY(pass.unet->set_vector(pass.vector));
    PUMICE_TRY(pass.unet->set_extra(pass.extra));
    return run(*pass.unet, sigma, 1, pass.conditional);
}

/// `denoised` is the sum of each pass's prediction times its share; the unconditional one is kept when wanted apart.
Status GuidedDenoiser::denoise_passes(double sigma, double Pass::*share, const Latent& denoised) {
    bool first = true;
    for (const Pass& pass : passes_) {
        const double part = pass.*share;
        const bool kept = !pass.conditional && apart();
        if (part == 0 && !kept) continue;
        PUMICE_TRY(run_pass(pass, sigma));
        if (kept) PUMICE_TRY(math_.combine(uncond_output_, {{1, output_}}));
        if (part == 0) continue;
        if (first) PUMICE_TRY(math_.combine(denoised, {{part, output_}}));
        else PUMICE_TRY(math_.combine(denoised, {{1, denoised}, {part, output_}}));
        first = false;
    }
    return {};
}

Status GuidedDenoiser::denoise(const Latent& x, double sigma, const Latent& denoised) {
    if (!both_ && passes_.empty()) return Error{Code::internal, "denoise before set_conditioning"};
    PUMICE_TRY(math_.combine(input_, {{1, x}}));
    if (apart()) {
        PUMICE_TRY(predict_apart(sigma));
        return join(x, sigma, options_.scale, denoised);
    }
    if (!both_) return denoise_passes(sigma, &Pass::share, denoised);
    PUMICE_TRY(run(*both_, sigma, both_scale_));
    return math_.combine(denoised, {{1, output_}});
}

Status GuidedDenoiser::denoise_uncond(const Latent& x, double sigma, double scale, const Latent& denoised,
                                      const Latent& uncond) {
    if (!options_.unconditional || (!both_ && passes_.empty()))
        return Error{Code::internal, "denoise_uncond without its option, or before set_conditioning"};
    PUMICE_TRY(math_.combine(input_, {{1, x}}));
    PUMICE_TRY(predict_apart(sigma));
    PUMICE_TRY(math_.combine(uncond, {{1, uncond_output_}}));
    return join(x, sigma, options_.scale * scale, denoised);
}

/// Each prediction is copied out of the networks' output, which the next one writes to; a plugin may write to what it
/// is given.
Status GuidedDenoiser::predict_apart(double sigma) {
    if (perturbed_) {
        PUMICE_TRY(run(*perturbed_, sigma, 1));
        PUMICE_TRY(math_.combine(perturbed_kept_, {{1, output_}}));
    }
    if (!both_) return denoise_passes(sigma, &Pass::cond, cond_kept_);
    PUMICE_TRY(run(*both_, sigma, 1));
    return math_.combine(cond_kept_, {{1, output_}});
}

Status GuidedDenoiser::join(const Latent& x, double sigma, double scale, const Latent& denoised) {
    const bool guided = both_ || !passes_.back().conditional;
    if (!options_.method) return math_.combine(denoised, {{scale, cond_kept_}, {1 - scale, uncond_output_}});
    return options_.method->run({.math = math_,
                                 .x = x,
                                 .cond = cond_kept_,
                                 .uncond = guided ? uncond_output_ : cond_kept_,
                                 .perturbed = perturbed_ ? &perturbed_kept_ : nullptr,
                                 .denoised = denoised,
                                 .sigma = sigma,
                                 .scale = scale});
}

std::vector<UnetDenoiser*> GuidedDenoiser::used() const {
    std::vector<UnetDenoiser*> used;
    if (both_) used.push_back(both_);
    for (const Pass& pass : passes_) used.push_back(pass.unet);
    if (perturbed_) used.push_back(perturbed_);
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

std::uint64_t GuidedDenoiser::streamed() const {
    std::uint64_t sum = 0;
    for (const UnetDenoiser* unet : used()) sum += unet->streamed();
    return sum;
}

double GuidedDenoiser::flops() const {
    double sum = 0;
    for (UnetDenoiser* unet : used()) sum += unet->program().flops();
    return sum;
}

}  // namespace pumice
