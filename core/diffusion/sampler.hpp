// Samplers: how to walk from noise to a picture. Each is one function over (denoise, x, sigmas, noise source).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "diffusion/schedule.hpp"
#include "diffusion/tensor_math.hpp"

namespace pumice {

/// Writes to `denoised` what the model takes to be the picture in x = picture + sigma * noise. `denoised` is not x.
using Denoise = std::function<Status(const Latent& x, double sigma, const Latent& denoised)>;

struct SamplerOptions {
    /// How much of the noise that a step removes is drawn anew, 0…1. Empty: the sampler's own (euler_a 1, ddim 0).
    std::optional<double> eta = {};
    double s_noise = 1;  ///< factor on fresh noise
    /// euler: noise added before each step whose sigma is in [s_tmin, s_tmax], in all s_churn / steps of its sigma.
    double s_churn = 0, s_tmin = 0, s_tmax = std::numeric_limits<double>::infinity();
};

struct SamplerCall {
    TensorMath& math;  ///< arithmetic, and the noise source
    const Denoise& denoise;
    std::span<const float> sigmas;  ///< falling, steps + 1 of them
    SamplerOptions options = {};
    /// After each step, from 0; may be empty. An error (Code::cancelled) ends the sampling and is handed on.
    std::function<Status(std::uint32_t step)> on_step = {};

    std::uint32_t steps() const { return static_cast<std::uint32_t>(sigmas.size() - 1); }
    Status step_done(std::uint32_t step) const { return on_step ? on_step(step) : Status{}; }
};

struct Sampler {
    std::string name;
    /// Takes x from sigmas.front() to sigmas.back(), in place. Called through sample(), which checks the arguments.
    std::function<Status(const SamplerCall&, const Latent& x)> run;
    /// Defined on x / sqrt(1 + sigma^2), as DDIM's paper has it, with time steps of its own (ddim_sigmas): starts from
    /// noise of that scale, and ends above sigma 0 with the noise that is left counted into the picture.
    bool variance_preserving = false;
};

/// euler, euler_a, dpmpp_2m, ddim.
const std::vector<Sampler>& builtin_samplers();
std::vector<std::string_view> sampler_names();
/// Code::not_found lists the names.
Result<const Sampler*> find_sampler(std::string_view name);

/// The noise levels it runs over: ddim's own, or those of the named schedule. Errors as make_sigmas.
Result<std::vector<float>> sampler_sigmas(const Sampler&, std::string_view schedule, const SigmaTable&,
                                          std::uint32_t steps);

/// x = initial_scale * unit noise is where a picture from text alone starts. (From a picture: picture + sigmas[0] *
/// noise, for every sampler.)
double initial_scale(const Sampler&, std::span<const float> sigmas);

/// Runs the sampler: x goes from initial noise to the latent of the picture. Code::invalid_argument when sigmas are
/// fewer than two, rise, or are not finite and positive (the last may be 0).
Status sample(const Sampler&, const SamplerCall&, const Latent& x);

}  // namespace pumice
