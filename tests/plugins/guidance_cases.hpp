// Methods of guidance in double, element by element, from their papers' formulas: one picture {4, count / 4}.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace pumice::test {

struct GuidanceCase {
    std::string name;
    std::vector<std::string> params;
    double scale, sigma;
    std::vector<double> (*reference)(const GuidanceCase&, std::span<const float> x, std::span<const float> cond,
                                     std::span<const float> uncond, std::span<const float> perturbed);
    double a = 0, b = 0;  ///< the parameters' numbers
};

inline double deviation(std::span<const double> values) {
    double mean = 0, squares = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) squares += (v - mean) * (v - mean);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// Lin et al. 2023, in terms of the velocity that the model would have predicted.
inline std::vector<double> rescaled(const GuidanceCase& c, std::span<const float> x, std::span<const float> cond,
                                    std::span<const float> uncond, std::span<const float>) {
    const double total = c.sigma * c.sigma + 1;
    const auto velocity = [&](double at, double denoised) {
        return (at / total - denoised) * std::sqrt(total) / c.sigma;
    };
    std::vector<double> positive, guided;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double p = velocity(double(x[i]), double(cond[i])), n = velocity(double(x[i]), double(uncond[i]));
        positive.push_back(p);
        guided.push_back(n + c.scale * (p - n));
    }
    const double factor = c.a * deviation(positive) / deviation(guided) + (1 - c.a);
    std::vector<double> denoised;
    for (std::size_t i = 0; i < x.size(); ++i)
        denoised.push_back(double(x[i]) / total - factor * guided[i] * c.sigma / std::sqrt(total));
    return denoised;
}

/// Channel by channel: recentred, clamped to the larger of both ranges, shrunk to the mimicked one.
inline std::vector<double> thresholded(const GuidanceCase& c, std::span<const float> x, std::span<const float> cond,
                                       std::span<const float> uncond, std::span<const float>) {
    const std::size_t count = x.size() / 4;
    std::vector<double> denoised(x.size());
    for (std::size_t channel = 0; channel < 4; ++channel) {
        std::vector<double> mimic, guided, distance;
        double mimic_mean = 0, mean = 0, mimic_range = 0;
        for (std::size_t i = channel * count; i < (channel + 1) * count; ++i) {
            const double difference = double(cond[i]) - double(uncond[i]);
            mimic.push_back(double(uncond[i]) + c.a * difference);
            guided.push_back(double(uncond[i]) + c.scale * difference);
            mimic_mean += mimic.back() / static_cast<double>(count);
            mean += guided.back() / static_cast<double>(count);
        }
        for (std::size_t i = 0; i < count; ++i) {
            mimic_range = std::max(mimic_range, std::fabs(mimic[i] - mimic_mean));
            distance.push_back(std::fabs(guided[i] - mean));
        }
        std::sort(distance.begin(), distance.end());
        const double at = c.b / 100 * static_cast<double>(count - 1);
        const auto below = static_cast<std::size_t>(std::floor(at));
        const double share = at - std::floor(at), above = distance[std::min(below + 1, count - 1)];
        const double range = std::max(mimic_range, distance[below] * (1 - share) + above * share);
        for (std::size_t i = 0; i < count; ++i)
            denoised[channel * count + i] = std::clamp(guided[i] - mean, -range, range) / range * mimic_range + mean;
    }
    return denoised;
}

inline std::vector<double> perturbed_guided(const GuidanceCase& c, std::span<const float> x,
                                            std::span<const float> cond, std::span<const float> uncond,
                                            std::span<const float> perturbed) {
    std::vector<double> denoised;
    for (std::size_t i = 0; i < x.size(); ++i)
        denoised.push_back(double(uncond[i]) + c.scale * (double(cond[i]) - double(uncond[i])) +
                           c.a * (double(cond[i]) - double(perturbed[i])));
    return denoised;
}

inline std::vector<GuidanceCase> guidance_cases() {
    return {{"rescale", {"guidance.phi=0"}, 7, 3, rescaled, 0},
            {"rescale", {}, 7, 3, rescaled, 0.7},
            {"rescale", {"guidance.phi=1"}, 12, 0.05, rescaled, 1},
            {"rescale", {"guidance.phi=1"}, 1, 14, rescaled, 1},
            {"dynamic_threshold", {}, 20, 2, thresholded, 7, 100},
            {"dynamic_threshold", {"guidance.mimic_scale=5", "guidance.percentile=97.3"}, 25, 2, thresholded, 5, 97.3},
            {"dynamic_threshold", {"guidance.mimic_scale=9", "guidance.percentile=50"}, 3, 2, thresholded, 9, 50},
            {"perturbed_attention", {}, 5, 2, perturbed_guided, 3},
            {"perturbed_attention",
             {"guidance.scale=0.5", "guidance.blocks=input_blocks.1 middle_block"},
             7,
             2,
             perturbed_guided,
             0.5}};
}

}  // namespace pumice::test
