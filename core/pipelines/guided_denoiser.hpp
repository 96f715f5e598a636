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
    double scale = 7;                     ///< 1 or less: the unconditional prediction is not computed
    Guidance* method = nullptr;           ///< joins the predictions in place of the engine's own; outlives the denoiser
    const ControlSet* controls = nullptr;  ///< outlives the denoiser
    TimestepRounding rounding = TimestepRounding::interpolated;
    const std::atomic<bool>* cancel = nullptr;
    bool profile = false;
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

    /// From the next call on: which share of the steps is over, from 0 to 1. Decides which controls count; before the first
    /// time all of that start at 0.
    Status set_progress(double progress);

    /// denoised = uncond + scale * (cond - uncond), Ho and Salimans 2022, arXiv 2207.12598; or what the method makes.
    Status denoise(const Latent& x, double sigma, const Latent& denoised);

    bool fell_back() const;
    double flops() const;   ///< of one call
    /// The programs in use, for profiles.
    std::vector<Program*> programs();

private:
    /// Context tokens; what is done with them: one prediction, both joined, both apart, the perturbed one; and the controls
    /// that count.
    enum class Kind : std::uint8_t { one, joined, apart, perturbed };
    using Key = std::tuple<std::uint32_t, Kind, ControlSet::Mask>;
    GuidedDenoiser(Model& model, GpuTensorMath& math) : model_(model), math_(math) {}
    Result<UnetDenoiser*> unet(std::uint32_t tokens, Kind kind, ControlSet::Mask controls);
    /// The networks for the conditionings and the controls that count.
    Status select();
    Status denoise_by_method(const Latent& x, double sigma, const Latent& denoised);
    std::vector<UnetDenoiser*> used() const;
    Status run(UnetDenoiser&, double sigma, double guidance_scale, bool conditional = true);

    Model& model_;
    GpuTensorMath& math_;
    Shape shape_;
    GuidanceOptions options_;
    SigmaTable table_ = SigmaTable::scaled_linear();
    Latent input_, output_;
    Latent uncond_output_, cond_kept_, perturbed_kept_;  ///< with a method of guidance
    Arena arena_;  ///< of all networks: they run one after the other
    std::map<Key, std::unique_ptr<UnetDenoiser>> unets_;
    UnetDenoiser* both_ = nullptr;    ///< in use: this one, or the two below
    UnetDenoiser* cond_ = nullptr;
    UnetDenoiser* uncond_ = nullptr;
    UnetDenoiser* perturbed_ = nullptr;
    std::vector<float> cond_context_, uncond_context_;
    std::uint32_t cond_tokens_ = 0, uncond_tokens_ = 0;
    ControlSet::Mask controls_ = 0;  ///< that count now
};

}  // namespace pumice
