#include "diffusion/sampler.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/exact_math.hpp"

namespace pumice {
namespace {

/// How much noise a step from `sigma` to `next` adds, and to which level it must go before, so that it ends at `next`.
struct AncestralStep {
    double down, up;
};

AncestralStep ancestral_step(double sigma, double next, double eta) {
    const double fresh = eta * std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
    const double up = std::min(next, fresh);
    return {std::sqrt(next * next - up * up), up};
}

/// The Euler step of dx/dsigma = (x - denoised) / sigma.
Status euler_step(TensorMath& math, const Latent& x, const Latent& denoised, double sigma, double next) {
    const double ratio = next / sigma;
    return math.combine(x, {{ratio, x}, {1 - ratio, denoised}});
}

/// Karras, Aittala, Aila, Laine, "Elucidating the Design Space of Diffusion-Based Generative Models", 2022 (arXiv
/// 2206.00364), algorithm 2 without the second-order correction. With churn a noise is drawn in every step, used or
/// not.
Status euler(const SamplerCall& call, const Latent& x) {
    const SamplerOptions& o = call.options;
    PUMICE_ASSIGN(const Latent denoised, call.math.create_latent());
    Latent eps;
    if (o.s_churn > 0) {
        PUMICE_ASSIGN(eps, call.math.create_latent());
    }
    for (std::uint32_t i = 0; i < call.steps(); ++i) {
        double sigma = double(call.sigmas[i]);
        if (o.s_churn > 0) {
            PUMICE_TRY(call.math.noise(eps));
            const bool inside = sigma >= o.s_tmin && sigma <= o.s_tmax;
            const double raised = inside ? sigma * (1 + std::min(o.s_churn / call.steps(), std::sqrt(2.0) - 1)) : sigma;
            if (inside)
                PUMICE_TRY(
                    call.math.combine(x, {{1, x}, {o.s_noise * std::sqrt(raised * raised - sigma * sigma), eps}}));
            sigma = raised;
        }
        PUMICE_TRY(call.denoise(x, sigma, denoised));
        PUMICE_TRY(euler_step(call.math, x, denoised, sigma, double(call.sigmas[i + 1])));
        PUMICE_TRY(call.step_done(i));
    }
    return {};
}

/// Euler steps to below the next level and fresh noise up to it: the stochastic sampler that Song et al., "Score-Based
/// Generative Modeling through Stochastic Differential Equations", 2021 (arXiv 2011.13456), appendix F, call ancestral,
/// in the form of k-diffusion.
Status ancestral(const SamplerCall& call, const Latent& x, double eta) {
    PUMICE_ASSIGN(const Latent denoised, call.math.create_latent());
    Latent eps;
    if (eta > 0) {
        PUMICE_ASSIGN(eps, call.math.create_latent());
    }
    for (std::uint32_t i = 0; i < call.steps(); ++i) {
        const double sigma = double(call.sigmas[i]), next = double(call.sigmas[i + 1]);
        const AncestralStep step = ancestral_step(sigma, next, eta);
        PUMICE_TRY(call.denoise(x, sigma, denoised));
        if (eta > 0 && next > 0) {
            const double ratio = step.down / sigma;
            PUMICE_TRY(call.math.noise(eps));
            PUMICE_TRY(
                call.math.combine(x, {{ratio, x}, {1 - ratio, denoised}, {step.up * call.options.s_noise, eps}}));
        } else {
            PUMICE_TRY(euler_step(call.math, x, denoised, sigma, next));
        }
        PUMICE_TRY(call.step_done(i));
    }
    return {};
}

Status euler_a(const SamplerCall& call, const Latent& x) {
    return ancestral(call, x, call.options.eta.value_or(1));
}

/// Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021 (arXiv 2010.02502), equations 12 and 16. In x /
/// sqrt(a) in place of x, with sigma^2 = (1-a)/a, equation 12 is the Euler step, and eta of equation 16 leaves the very
/// levels of ancestral_step (appendix B there has the first half).
Status ddim(const SamplerCall& call, const Latent& x) {
    return ancestral(call, x, call.options.eta.value_or(0));
}

/// Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", 2022 (arXiv
/// 2211.01095), algorithm 2, with lambda = -log sigma. The first step, and one to sigma 0, are of first order.
Status dpmpp_2m(const SamplerCall& call, const Latent& x) {
    PUMICE_ASSIGN(Latent denoised, call.math.create_latent());
    PUMICE_ASSIGN(Latent previous, call.math.create_latent());
    for (std::uint32_t i = 0; i < call.steps(); ++i) {
        const double sigma = double(call.sigmas[i]), next = double(call.sigmas[i + 1]);
        PUMICE_TRY(call.denoise(x, sigma, denoised));
        const double before = i == 0 ? sigma : double(call.sigmas[i - 1]);
        if (before == sigma || next == 0) {
            PUMICE_TRY(euler_step(call.math, x, denoised, sigma, next));
        } else {
            const double h = exact::log(sigma / next), h_last = exact::log(before / sigma);
            const double ratio = next / sigma, ahead = h / (2 * h_last);
            PUMICE_TRY(call.math.combine(
                x, {{ratio, x}, {(1 - ratio) * (1 + ahead), denoised}, {-(1 - ratio) * ahead, previous}}));
        }
        std::swap(denoised, previous);
        PUMICE_TRY(call.step_done(i));
    }
    return {};
}

Status check_sigmas(std::span<const float> sigmas) {
    if (sigmas.size() < 2) return Error{Code::invalid_argument, "a sampler needs at least two sigmas"};
    for (std::size_t i = 0; i < sigmas.size(); ++i) {
        const bool last = i + 1 == sigmas.size();
        if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || (sigmas[i] == 0 && !last) ||
            (!last && sigmas[i + 1] > sigmas[i]))
            return Error{
                Code::invalid_argument,
                fmt::format("sigma {} is {}: sigmas must be positive and fall, only the last may be 0", i, sigmas[i])};
    }
    return {};
}

}  // namespace

const std::vector<Sampler>& builtin_samplers() {
    static const std::vector<Sampler> all{{.name = "euler", .run = euler},
                                          {.name = "euler_a", .run = euler_a},
                                          {.name = "dpmpp_2m", .run = dpmpp_2m},
                                          {.name = "ddim", .run = ddim, .variance_preserving = true}};
    return all;
}

std::vector<std::string_view> sampler_names() {
    std::vector<std::string_view> names;
    for (const Sampler& sampler : builtin_samplers()) names.push_back(sampler.name);
    return names;
}

Result<const Sampler*> find_sampler(std::string_view name) {
    for (const Sampler& sampler : builtin_samplers())
        if (sampler.name == name) return &sampler;
    return Error{Code::not_found,
                 fmt::format("no sampler is called \"{}\"; there are {}", name, fmt::join(sampler_names(), ", "))};
}

Result<std::vector<float>> sampler_sigmas(const Sampler& sampler, std::string_view schedule, const SigmaTable& table,
                                          std::uint32_t steps) {
    return sampler.variance_preserving ? ddim_sigmas(table, steps) : make_sigmas(schedule, table, steps);
}

double initial_scale(const Sampler& sampler, std::span<const float> sigmas) {
    const double sigma = sigmas.empty() ? 0.0 : double(sigmas.front());
    return sampler.variance_preserving ? std::sqrt(1 + sigma * sigma) : sigma;
}

Status sample(const Sampler& sampler, const SamplerCall& call, const Latent& x) {
    PUMICE_TRY(check_sigmas(call.sigmas));
    PUMICE_TRY(sampler.run(call, x));
    const double left = double(call.sigmas.back());
    if (!sampler.variance_preserving || left == 0) return {};
    return call.math.combine(x, {{1 / std::sqrt(1 + left * left), x}});
}

}  // namespace pumice
