#include "methods.hpp"

#include <algorithm>
#include <cmath>

namespace pumice::guidance {
namespace {

// Parameters, in the order in which the methods read them.
const pumice_param kPhi = {sizeof(pumice_param),
                           PUMICE_PARAM_FLOAT,
                           "phi",
                           "how much of the rescaled answer: 0 is plain guidance",
                           nullptr,
                           0,
                           1,
                           0.05,
                           0.7,
                           nullptr,
                           nullptr};
const pumice_param kMimicScale = {sizeof(pumice_param),
                                  PUMICE_PARAM_FLOAT,
                                  "mimic_scale",
                                  "the guidance scale whose range of values is kept",
                                  nullptr,
                                  0,
                                  100,
                                  0.5,
                                  7,
                                  nullptr,
                                  nullptr};
const pumice_param kPercentile = {sizeof(pumice_param),
                                  PUMICE_PARAM_FLOAT,
                                  "percentile",
                                  "what share of the values may reach the range's end",
                                  nullptr,
                                  0,
                                  100,
                                  0.1,
                                  100,
                                  nullptr,
                                  nullptr};
const pumice_param kStrength = {sizeof(pumice_param),
                                PUMICE_PARAM_FLOAT,
                                "scale",
                                "how far away from the answer without structure",
                                nullptr,
                                0,
                                100,
                                0.5,
                                3,
                                nullptr,
                                nullptr};
const pumice_param kBlocks = {sizeof(pumice_param),
                              PUMICE_PARAM_STRING,
                              "blocks",
                              "blocks of the UNet whose self-attention is left out, separated by spaces",
                              nullptr,
                              0,
                              0,
                              0,
                              0,
                              "middle_block",
                              nullptr};
const pumice_param* const kRescaleParams[] = {&kPhi};
const pumice_param* const kThresholdParams[] = {&kMimicScale, &kPercentile};
const pumice_param* const kPerturbedParams[] = {&kStrength, &kBlocks};
static_assert(kPerturbedBlocks == 1);

/// Ho and Salimans 2022, arXiv 2207.12598.
void guide(Guiding& g, const Tensor& out, double scale) {
    g.combine(out, {{scale, g.cond}, {1 - scale, g.uncond}});
}

/// Standard deviation over all of a picture, but for a factor that all pictures share.
double deviation(const pumice_tensor_norms& norms, double count) {
    return std::sqrt(std::max(0.0, norms.squares - norms.sum * norms.sum / count));
}

/// Lin et al. 2023, arXiv 2305.08891, equations 14 to 16: the guided velocity gets the standard deviation that the
/// conditional one has. v = (x / (sigma^2 + 1) - denoised) * sqrt(sigma^2 + 1) / sigma, whatever the model predicts;
/// the last factor drops out.
void rescale(Guiding& g) {
    const double to_v = 1 / (g.sigma * g.sigma + 1), phi = g.param(0);
    guide(g, g.denoised, g.scale);
    const Tensor v = g.tensor();
    g.combine(v, {{to_v, g.x}, {-1, g.cond}});
    const auto of_cond = g.norms(v);
    g.combine(v, {{to_v, g.x}, {-1, g.denoised}});
    const auto of_guided = g.norms(v);
    if (!g.ok()) return;
    const auto shape = g.shape();
    const auto count = static_cast<double>(shape.channels * shape.pixels);
    std::vector<pumice_tensor_affine> factors;
    for (std::size_t i = 0; i < shape.pictures; ++i) {
        const double guided = deviation(of_guided[i], count);
        const double ratio = guided > 0 ? deviation(of_cond[i], count) / guided : 1;
        factors.insert(factors.end(), shape.channels, {phi * ratio + (1 - phi), 0, -INFINITY, INFINITY});
    }
    g.affine(v, v, factors);
    g.combine(g.denoised, {{to_v, g.x}, {-1, v}});
}

/// Values beyond what `mimic_scale` would give are clamped and the rest shrunk to fit, around each channel's mean
/// ("Dynamic Thresholding (CFG Scale Fix)", after Saharia et al. 2022, arXiv 2205.11487, section 2.3).
void dynamic_threshold(Guiding& g) {
    const Tensor mimic = g.tensor();
    guide(g, mimic, g.param(0));
    guide(g, g.denoised, g.scale);
    const auto target = g.spreads(mimic, 1), guided = g.spreads(g.denoised, g.param(1) / 100);
    if (!g.ok()) return;
    std::vector<pumice_tensor_affine> each;
    for (std::size_t i = 0; i < guided.size(); ++i) {
        const double limit = std::max(target[i].largest, guided[i].quantile);
        const double scale = limit > 0 ? target[i].largest / limit : 1, mean = guided[i].mean;
        // clamp(value - mean, +-limit) * scale + mean
        each.push_back({scale, mean - scale * mean, mean - target[i].largest, mean + target[i].largest});
    }
    g.affine(g.denoised, g.denoised, each);
}

/// Ahn et al. 2024, arXiv 2403.17377, equation 15 with classifier-free guidance beside it.
void perturbed_attention(Guiding& g) {
    const double s = g.param(0);
    g.combine(g.denoised, {{g.scale + s, g.cond}, {1 - g.scale, g.uncond}, {-s, g.perturbed}});
}

template <std::size_t n>
pumice_guidance_descriptor describe(std::uint32_t flags, const char* name, const char* label, const char* help,
                                    const pumice_param* const (&params)[n]) {
    return {sizeof(pumice_guidance_descriptor), flags, name, label, help, static_cast<std::uint32_t>(n), 0, params};
}

}  // namespace

const std::vector<Method>& methods() {
    static const std::vector<Method> all = {
        {describe(0, "rescale", "Rescaled CFG", "keeps high scales from burning out (Lin et al. 2023)", kRescaleParams),
         rescale},
        {describe(0, "dynamic_threshold", "Dynamic thresholding", "high scales with the range of values of a lower one",
                  kThresholdParams),
         dynamic_threshold},
        {describe(PUMICE_GUIDANCE_PERTURBED, "perturbed_attention", "Perturbed-attention guidance",
                  "better structure for another evaluation a step (Ahn et al. 2024)", kPerturbedParams),
         perturbed_attention}};
    return all;
}

}  // namespace pumice::guidance
