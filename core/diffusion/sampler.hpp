// What the engine asks of a sampler. There is none in core: samplers and schedules are plugins (host/plugins), over the
// arithmetic of tensor_math.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "diffusion/schedule.hpp"
#include "diffusion/tensor_math.hpp"

namespace pumice {

/// Writes to `denoised` what the model takes to be the picture in x = picture + sigma * noise. `denoised` is not x.
using Denoise = std::function<Status(const Latent& x, double sigma, const Latent& denoised)>;
/// The same under guidance `scale` times as strong, and to `uncond` what the model takes to be the picture without the
/// prompt. x, denoised and uncond are three.
using DenoiseUncond =
    std::function<Status(const Latent& x, double sigma, double scale, const Latent& denoised, const Latent& uncond)>;

struct SamplerCall {
    TensorMath& math;  ///< arithmetic, and the noise source
    const Denoise& denoise;
    std::span<const float> sigmas;  ///< falling, steps + 1 of them
    /// After each step, from 0, of `steps`; may be empty. An error (Code::cancelled) ends the sampling and is handed on.
    std::function<Status(std::uint32_t step, std::uint32_t steps)> on_step = {};
    /// Whether to go on, for samplers that work long between steps; may be empty.
    std::function<Status()> check = {};
    DenoiseUncond denoise_uncond = {};  ///< for samplers that are unconditional()
};

/// How to walk from noise to a picture, with the options and the schedule that were chosen for it. Used by one request
/// at a time.
class Sampler {
public:
    virtual ~Sampler() = default;

    /// The noise levels it runs over, checked with check_sigmas. Code::invalid_argument for steps outside
    /// 1…table.size().
    virtual Result<std::vector<float>> sigmas(const SigmaTable&, std::uint32_t steps) = 0;
    /// x = initial_scale * unit noise is where a picture from text alone starts. (From a picture: picture + sigmas[0] *
    /// noise, for every sampler.)
    virtual double initial_scale(std::span<const float> sigmas) const = 0;
    /// Model calls of most steps: prompt schedules count calls.
    virtual std::uint32_t calls_per_step() const = 0;
    /// Whether it asks for the prediction without the prompt too, whatever the guidance scale.
    virtual bool unconditional() const { return false; }
    /// x goes from initial noise to the latent of the picture.
    virtual Status run(const SamplerCall&, const Latent& x) = 0;
};

/// Code::invalid_argument when sigmas are fewer than two, rise, or are not finite and positive (the last may be 0).
Status check_sigmas(std::span<const float> sigmas);

}  // namespace pumice
