// One-step methods: each step sees the model at its own levels only.
#include <algorithm>
#include <cmath>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

/// Karras, Aittala, Aila, Laine, "Elucidating the Design Space of Diffusion-Based Generative Models", 2022 (arXiv
/// 2206.00364), algorithm 2 without the second-order correction.
void euler(Sampling& s) {
    const Tensor denoised = s.tensor();
    Churn churn(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = churn.raise(s.sigma(i));
        s.denoise(s.x(), sigma, denoised);
        euler_step(s, s.x(), denoised, sigma, s.sigma(i + 1));
        if (!s.step(i)) return;
    }
}

/// Euler steps to below the next level and fresh noise up to it: the stochastic sampler that Song et al., "Score-Based
/// Generative Modeling through Stochastic Differential Equations", 2021 (arXiv 2011.13456), appendix F, call ancestral,
/// in the form of k-diffusion.
void ancestral(Sampling& s, double eta, double s_noise) {
    const Tensor denoised = s.tensor();
    Tensor eps;
    if (eta > 0) eps = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        const AncestralStep step = ancestral_step(sigma, next, eta);
        s.denoise(s.x(), sigma, denoised);
        if (eta > 0 && next > 0) {
            const double ratio = step.down / sigma;
            s.noise(eps);
            s.combine(s.x(), {{ratio, s.x()}, {1 - ratio, denoised}, {step.up * s_noise, eps}});
        } else {
            euler_step(s, s.x(), denoised, sigma, next);
        }
        if (!s.step(i)) return;
    }
}

void euler_a(Sampling& s) {
    ancestral(s, s.param(0), s.param(1));
}

/// The noise left at the end of a walk over time steps counts into the picture.
void unscale(Sampling& s) {
    const double left = s.sigma(s.steps());
    if (left > 0) s.combine(s.x(), {{1 / std::sqrt(1 + left * left), s.x()}});
}

/// Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021 (arXiv 2010.02502), equations 12 and 16. In x /
/// sqrt(a) in place of x, with sigma^2 = (1-a)/a, equation 12 is the Euler step, and eta of equation 16 leaves the very
/// levels of ancestral_step (appendix B there has the first half).
void ddim(Sampling& s) {
    ancestral(s, s.param(0), s.param(1));
    unscale(s);
}

/// Chung et al., "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models", 2024 (arXiv 2406.08070),
/// algorithm 2: towards the guided picture, with the noise that the model sees when it is not told the prompt. Their
/// scale goes from 0 to 1; as in AUTOMATIC1111 the user's is divided by 12.5.
void ddim_cfgpp(Sampling& s) {
    constexpr double kScale = 1 / 12.5;
    const double eta = s.param(0), s_noise = s.param(1);
    const Tensor denoised = s.tensor(), uncond = s.tensor(), eps = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        const AncestralStep step = ancestral_step(sigma, next, eta);
        const double ratio = step.down / sigma;
        s.denoise_uncond(s.x(), sigma, kScale, denoised, uncond);
        s.combine(s.x(), {{ratio, s.x()}, {1, denoised}, {-ratio, uncond}});
        if (eta > 0 && next > 0) {
            s.noise(eps);
            s.combine(s.x(), {{1, s.x()}, {step.up * s_noise, eps}});
        }
        if (!s.step(i)) return;
    }
    unscale(s);
}

const pumice_param* const kChurnParams[] = {&kChurn, &kNoise, &kChurnLeast, &kChurnMost};
const pumice_param* const kAncestralParams[] = {&kEta, &kNoise};
const pumice_param* const kDdimParams[] = {&kEtaZero, &kNoise};

}  // namespace

std::vector<SamplerMethod> euler_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_sampler_descriptor);
    return {
        {{kSize, 0, "euler", "Euler", "first order, deterministic; Karras et al. 2022", nullptr, 1, 4, kChurnParams},
         euler},
        {{kSize, 0, "euler_a", "Euler a", "first order, fresh noise in every step", nullptr, 1, 2, kAncestralParams},
         euler_a},
        {{kSize, PUMICE_SAMPLER_VARIANCE_PRESERVING, "ddim", "DDIM",
          "Song, Meng, Ermon 2021; over time steps of its own", "timesteps", 1, 2, kDdimParams},
         ddim},
        {{kSize, PUMICE_SAMPLER_VARIANCE_PRESERVING | PUMICE_SAMPLER_UNCONDITIONAL, "ddim_cfgpp", "DDIM CFG++",
          "guidance that keeps to what the model knows; Chung et al. 2024; over time steps of its own", "timesteps", 1,
          2, kDdimParams},
         ddim_cfgpp},
    };
}

}  // namespace pumice::samplers
