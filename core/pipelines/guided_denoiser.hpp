// The UNet with classifier-free guidance, as samplers see it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "diffusion/denoiser.hpp"
#include "diffusion/gpu_tensor_math.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/sampler.hpp"
#include "models/conditioning.hpp"
#include "pipelines/unet_denoiser.hpp"

namespace pumice {

struct GuidanceOptions {
    double scale = 7;            ///< 1 or less: the unconditional prediction is not computed
    double image_scale = 1.5;    ///< of models that edit a picture: how closely to follow it
    bool unconditional = false;  ///< the unconditional prediction is computed whatever the scale
    Guidance* method = nullptr;  ///< joins the predictions in place of the engine's own; outlives the denoiser
    const ControlSet* controls = nullptr;  ///< outlives the denoiser
    TimestepRounding rounding = TimestepRounding::interpolated;
    const std::atomic<bool>* cancel = nullptr;
    bool profile = false;
    Seamless seamless = {};
    /// What a UNet with more channels than the latent's sees beside it, {pictures, height, width, 4 or 8} f32: the
    /// picture's latent of a model that edits (8 channels in all); mask and masked picture's latent, padded with zeros,
    /// of one that inpaints (9).
    std::vector<float> extra = {};
};

/// Whether the UNet takes a picture to edit beside the noisy latent (Brooks et al. 2023, arXiv 2211.09800).
bool edits(const ModelConfig&);
/// Whether it takes a mask and the masked picture (Rombach et al. 2022).
bool inpaints(const ModelConfig&);
/// The noise levels it was trained with.
SigmaTable sigma_table(const ModelConfig&);

/// One of the prompts that AND joins.
struct GuidedPart {
    std::vector<const Conditioning*> pictures;  ///< one a picture, all of one length
    double weight = 1;
};

class GuidedDenoiser {
public:
    /// `shape` {pictures, height, width, 4} is that of math's latents. Model and math outlive this.
    static Result<std::unique_ptr<GuidedDenoiser>> create(Model&, GpuTensorMath& math, const Shape& shape,
                                                          const GuidanceOptions&);

    /// From the next call on: one conditioning a picture, of one length; `uncond` likewise, of the same or another
    /// length. Of equal length both run as one batch; otherwise one after the other, which is what AUTOMATIC1111 does
    /// and not the same as padding.
    Status set_conditioning(std::span<const Conditioning* const> cond, std::span<const Conditioning* const> uncond);
    /// Several prompts at once (Liu et al. 2022, arXiv 2206.01714): denoised = uncond + scale * sum of weight * (cond -
    /// uncond). The conditionings stay the caller's, and live until the next ones are set.
    Status set_conditioning(std::span<const GuidedPart> parts, std::span<const Conditioning* const> uncond);

    /// From the next call on: which share of the steps is over, from 0 to 1. Decides which controls count; before the first
    /// time all of that start at 0.
    Status set_progress(double progress);

    /// From the next call on: other values of GuidanceOptions::extra, of the same shape.
    Status set_extra(std::vector<float> extra);

    /// denoised = uncond + scale * (cond - uncond), Ho and Salimans 2022, arXiv 2207.12598; or what the method makes. A
    /// model that edits: uncond + scale * (cond - pictured) + image_scale * (pictured - uncond), where pictured is told
    /// of the picture alone, and uncond of neither.
    Status denoise(const Latent& x, double sigma, const Latent& denoised);
    /// The same with the guidance scale times `scale`, and the unconditional prediction. Only with
    /// GuidanceOptions::unconditional.
    Status denoise_uncond(const Latent& x, double sigma, double scale, const Latent& denoised, const Latent& uncond);

    bool fell_back() const;
    std::uint64_t streamed() const;  ///< bytes of weights that come and go in an evaluation
    double flops() const;   ///< of one call
    /// Of the networks' activations, on the device.
    std::uint64_t arena_bytes() const { return arena_.bytes(); }
    /// The programs in use, for profiles.
    std::vector<Program*> programs();

private:
    /// Context tokens; what is done with them: one prediction, both joined, both apart, the perturbed one; and the controls
    /// that count.
    enum class Kind : std::uint8_t { one, joined, apart, perturbed };
    using Key = std::tuple<std::uint32_t, Kind, ControlSet::Mask>;
    GuidedDenoiser(Model& model, GpuTensorMath& math)
        : model_(model), math_(math), table_(sigma_table(model.config())) {}
    /// A prediction of its own; the result is the sum of `share` times each. For a method of guidance, `cond` times each
    /// is the conditional prediction.
    struct Pass {
        UnetDenoiser* unet;
        std::vector<float> context, vector, extra;
        double share = 0, cond = 0;
        bool conditional = true;
    };
    Result<UnetDenoiser*> unet(std::uint32_t tokens, Kind kind, ControlSet::Mask controls);
    /// The networks for the conditionings and the controls that count.
    Status select();
    Status add_pass(std::span<const Conditioning* const>, double share, double cond, bool conditional,
                    bool pictured);
    Status set_both();
    Status run_pass(const Pass&, double sigma);
    /// As set by set_conditioning, with its weights.
    Status denoise_passes(double sigma, double Pass::*share, const Latent& denoised);
    std::vector<float> extra_rows(std::uint32_t repeat) const;
    /// Whether the predictions are wanted apart.
    bool apart() const { return options_.method || options_.unconditional; }
    /// Fills what is kept of each prediction.
    Status predict_apart(double sigma);
    Status join(const Latent& x, double sigma, double scale, const Latent& denoised);
    std::vector<UnetDenoiser*> used() const;
    Status run(UnetDenoiser&, double sigma, double guidance_scale, bool conditional = true);

    Model& model_;
    GpuTensorMath& math_;
    Shape shape_;
    GuidanceOptions options_;
    SigmaTable table_;
    Latent input_, output_;
    Latent uncond_output_, cond_kept_, perturbed_kept_;  ///< when apart(); the last for a method that wants it
    Arena arena_;                                        ///< of all networks: they run one after the other
    std::map<Key, std::unique_ptr<UnetDenoiser>> unets_;
    UnetDenoiser* both_ = nullptr;  ///< in use: this one, or the passes
    double both_scale_ = 1;
    std::vector<Pass> passes_;
    UnetDenoiser* perturbed_ = nullptr;
    std::vector<GuidedPart> parts_;  ///< as set
    std::vector<const Conditioning*> uncond_rows_;
    ControlSet::Mask controls_ = 0;  ///< that count now
};

}  // namespace pumice
