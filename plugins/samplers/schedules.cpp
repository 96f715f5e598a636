// Schedules: which noise levels a sampler walks down.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "methods.hpp"

namespace pumice::samplers {

Scheduling::Scheduling(const pumice_host_math_1& functions, const pumice_schedule_call& of) : math(functions), call(of) {
    for (std::uint32_t t = 0; t < size(); ++t) log_sigmas_.push_back(math.log(sigma(t)));
}

double Scheduling::t_to_sigma(double t) const {
    const double clamped = std::clamp(t, 0.0, static_cast<double>(size() - 1));
    const auto low = static_cast<std::size_t>(clamped), high = std::min<std::size_t>(low + 1, size() - 1);
    const double weight = clamped - static_cast<double>(low);
    return math.exp((1 - weight) * log_sigmas_[low] + weight * log_sigmas_[high]);
}

namespace {

/// count numbers from first to last; one number: first.
double linspace(double first, double last, std::uint32_t i, std::uint32_t count) {
    return count < 2 ? first : first + (last - first) * i / (count - 1);
}

/// level(i) for each step, and a 0.
template <class Level>
std::vector<float> falling(const Scheduling& s, Level&& level) {
    std::vector<float> sigmas(s.steps() + 1);
    for (std::uint32_t i = 0; i < s.steps(); ++i) sigmas[i] = static_cast<float>(level(i));
    return sigmas;
}

/// k-diffusion's get_sigmas: time steps evenly from the last to the first.
std::vector<float> normal(const Scheduling& s) {
    return falling(s, [&](std::uint32_t i) { return s.t_to_sigma(linspace(s.size() - 1, 0, i, s.steps())); });
}

/// Karras et al. 2022 (arXiv 2206.00364), equation 5, and a 0.
std::vector<float> karras(const Scheduling& s) {
    const double rho = s.param(0);
    const double from = s.math.pow(s.highest(), 1 / rho), to = s.math.pow(s.lowest(), 1 / rho);
    return falling(s, [&](std::uint32_t i) { return s.math.pow(linspace(from, to, i, s.steps()), rho); });
}

/// Evenly in log sigma.
std::vector<float> exponential(const Scheduling& s) {
    const double from = s.math.log(s.highest()), to = s.math.log(s.lowest());
    return falling(s, [&](std::uint32_t i) { return s.math.exp(linspace(from, to, i, s.steps())); });
}

/// ComfyUI's "simple": every (size / steps)-th of the table from its end.
std::vector<float> simple(const Scheduling& s) {
    const double stride = static_cast<double>(s.size()) / s.steps();
    return falling(s, [&](std::uint32_t i) { return s.sigma(s.size() - 1 - static_cast<std::uint32_t>(i * stride)); });
}

/// As Stability's generative-models: `normal` of one step more, without its last.
std::vector<float> sgm_uniform(const Scheduling& s) {
    return falling(s, [&](std::uint32_t i) { return s.t_to_sigma(linspace(s.size() - 1, 0, i, s.steps() + 1)); });
}

/// A1111's "DDIM" schedule for samplers that end at 0: time steps 1, 1 + s, …, downwards.
std::vector<float> ddim(const Scheduling& s) {
    const std::uint32_t stride = std::max(s.size() / s.steps(), 1u);
    std::vector<float> sigmas{0.0f};
    for (std::uint32_t t = 1; t < s.size(); t += stride) sigmas.push_back(s.call.table[t]);
    std::reverse(sigmas.begin(), sigmas.end());
    return sigmas;
}

/// The time steps A1111 gives its DDIM and PLMS samplers, downwards: 1, 1 + s, 1 + 2s, … below size() with s = size() /
/// steps. The sampler makes one step fewer than there are, and there may be more of them than `steps`; the last level
/// is not 0. One step: none to make, and so no levels.
std::vector<float> timesteps(const Scheduling& s) {
    std::vector<float> sigmas;
    for (std::uint32_t t = 0; t < s.size(); t += s.size() / s.steps())
        sigmas.push_back(s.call.table[std::min(t + 1, s.size() - 1)]);
    std::reverse(sigmas.begin(), sigmas.end());
    return sigmas;
}

/// k-diffusion's get_sigmas_polyexponential: log sigma along a power of the way.
std::vector<float> polyexponential(const Scheduling& s) {
    const double rho = s.param(0), top = s.math.log(s.highest()), bottom = s.math.log(s.lowest());
    return falling(s, [&](std::uint32_t i) {
        return s.math.exp(s.math.pow(linspace(1, 0, i, s.steps()), rho) * (top - bottom) + bottom);
    });
}

/// The integral of t^(a-1) (1-t)^(b-1) from 0 to x, x below (a + 1) / (a + b + 2): the continued fraction of the
/// incomplete beta function (Abramowitz and Stegun 26.5.8), evaluated forwards by Lentz's method.
double beta_fraction(const pumice_host_math_1& math, double x, double a, double b) {
    constexpr double kTiny = 1e-300;
    double fraction = 1, c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (std::fabs(d) < kTiny ? kTiny : d);
    fraction = d;
    for (int m = 1; m <= 300; ++m) {
        for (const bool even : {true, false}) {
            const double term = even ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                     : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            d = 1 + term * d;
            d = 1 / (std::fabs(d) < kTiny ? kTiny : d);
            c = 1 + term / c;
            if (std::fabs(c) < kTiny) c = kTiny;
            fraction *= c * d;
        }
        if (std::fabs(c * d - 1) < 1e-15) break;
    }
    return math.pow(x, a) * math.pow(1 - x, b) * fraction / a;
}

/// The distribution function of the beta distribution and its inverse.
class BetaDistribution {
public:
    BetaDistribution(const pumice_host_math_1& math, double a, double b)
        : math_(math), a_(a), b_(b), whole_(beta_fraction(math, 0.5, a, b) + beta_fraction(math, 0.5, b, a)) {
        // Away from the middle the fraction of one side is the good one; where a and b differ much, 0.5 may not be the
        // middle, and the fraction still converges, in more terms.
    }
    double operator()(double x) const {
        if (x <= 0) return 0;
        if (x >= 1) return 1;
        return x < (a_ + 1) / (a_ + b_ + 2) ? beta_fraction(math_, x, a_, b_) / whole_
                                            : 1 - beta_fraction(math_, 1 - x, b_, a_) / whole_;
    }
    double quantile(double p) const {
        if (p <= 0) return 0;
        if (p >= 1) return 1;
        double low = 0, high = 1;
        for (int i = 0; i < 60; ++i) {
            const double middle = (low + high) / 2;
            ((*this)(middle) < p ? low : high) = middle;
        }
        return (low + high) / 2;
    }

private:
    const pumice_host_math_1& math_;
    double a_, b_, whole_;
};

/// Lee et al., "Beta Sampling is All You Need", 2024 (arXiv 2407.12173), in the form of AUTOMATIC1111: between the lowest
/// and the highest sigma.
std::vector<float> beta(const Scheduling& s) {
    const BetaDistribution distribution(s.math, s.param(0), s.param(1));
    return falling(s, [&](std::uint32_t i) {
        return s.lowest() + distribution.quantile(linspace(1, 0, i, s.steps())) * (s.highest() - s.lowest());
    });
}

/// `levels` for their own number of steps; for another, log-linear between them.
std::vector<float> along(const Scheduling& s, std::span<const double> levels) {
    const std::size_t count = levels.size();
    if (s.steps() == count) return falling(s, [&](std::uint32_t i) { return levels[i]; });
    return falling(s, [&](std::uint32_t i) {
        // Counted from the lowest level, which is what a single step gets.
        const std::uint32_t from_end = s.steps() - 1 - i;
        const double at = linspace(0, static_cast<double>(count - 1), from_end, s.steps());
        const auto below = std::min(static_cast<std::size_t>(at), count - 2);
        const double weight = at - static_cast<double>(below);
        const double low = s.math.log(levels[count - 1 - below]), high = s.math.log(levels[count - 2 - below]);
        return s.math.exp(low + weight * (high - low));
    });
}

bool is_sdxl(const Scheduling& s) {
    return std::strcmp(s.call.family, "sdxl") == 0;
}

/// Sabour, Fidler, Kreis, "Align Your Steps: Optimizing Sampling Schedules in Diffusion Models", 2024 (arXiv
/// 2404.14507): the levels they give for ten steps.
std::vector<float> align_your_steps(const Scheduling& s) {
    constexpr double kSd1[] = {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029};
    constexpr double kSdxl[] = {14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029};
    return is_sdxl(s) ? along(s, kSdxl) : along(s, kSd1);
}

/// The same curve at 32 levels and down to 0.015, as Forge has it.
std::vector<float> align_your_steps_32(const Scheduling& s) {
    constexpr double kSd1[] = {14.615,     11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065,
                               3.5195609,  3.13490466,  2.79228788, 2.48773628, 2.21663865, 1.97508351, 1.7793172,
                               1.61475335, 1.46540953,  1.314849,   1.16642497, 1.03475547, 0.91573744, 0.80748169,
                               0.71202361, 0.621739,    0.53065202, 0.4529096,  0.37491455, 0.27461819, 0.2011529,
                               0.14105873, 0.06682881,  0.03166121, 0.015};
    constexpr double kSdxl[] = {14.615,     11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704,
                                3.27407457, 2.74396527, 2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009,
                                1.06789649, 0.92579443, 0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344,
                                0.41393379, 0.36258186, 0.31008517, 0.26518925, 0.22326461, 0.17653877, 0.13959192,
                                0.10587381, 0.05519369, 0.02877334, 0.015};
    return is_sdxl(s) ? along(s, kSdxl) : along(s, kSd1);
}

/// Chen et al., "On the Trajectory Regularity of ODE-based Diffusion Sampling", 2024 (arXiv 2405.11326): the levels
/// found for ten steps.
std::vector<float> align_your_steps_gits(const Scheduling& s) {
    constexpr double kSd1[] = {14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029};
    constexpr double kSdxl[] = {14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029};
    return is_sdxl(s) ? along(s, kSdxl) : along(s, kSd1);
}

/// What SDXL Turbo was distilled for (Sauer et al. 2023, arXiv 2311.17042): the model's time in equal strides, counted
/// from 1 and rounded to whole steps, halves to the even one.
std::vector<float> turbo(const Scheduling& s) {
    const auto size = static_cast<float>(s.size());
    return falling(s, [&](std::uint32_t i) {
        const float t = std::nearbyint(static_cast<float>(s.steps() - i) * (size / static_cast<float>(s.steps())) - 1);
        return s.sigma(static_cast<std::uint32_t>(std::clamp(t, 0.0f, size - 1)));
    });
}

double arc_tangent(const pumice_host_math_1& math, double x) {
    return math.acos(1 / std::sqrt(1 + x * x));
}

/// As "Align Your Steps" derives it in its section 3 for a simple data distribution: evenly in the arc tangent of sigma.
/// Ends at the lowest level and not at 0, as in AUTOMATIC1111.
std::vector<float> kl_optimal(const Scheduling& s) {
    const double low = arc_tangent(s.math, s.lowest()), high = arc_tangent(s.math, s.highest());
    std::vector<float> sigmas;
    for (std::uint32_t i = 0; i <= s.steps(); ++i) {
        const double way = static_cast<double>(i) / s.steps(), angle = way * low + (1 - way) * high;
        sigmas.push_back(static_cast<float>(s.math.sin(angle) / s.math.cos(angle)));
    }
    return sigmas;
}

/// What UniPC walks over, as many steps as there are `timesteps`: from the last time step to the first, evenly in time,
/// in its square root, or in log sigma. Between time steps the logarithm of alpha is linear, as in the paper's code.
std::vector<float> unipc_times(const Scheduling& s) {
    const std::uint32_t stride = s.size() / s.steps(), steps = (s.size() + stride - 1) / stride;
    const auto log_alpha = [&](std::uint32_t t) { return -s.math.log(1 + s.sigma(t) * s.sigma(t)) / 2; };
    const auto level = [&](double t) {
        const auto low = std::min(static_cast<std::uint32_t>(t), s.size() - 2);
        const double weight = t - low, value = (1 - weight) * log_alpha(low) + weight * log_alpha(low + 1);
        return std::sqrt(s.math.expm1(-2 * value));
    };
    const auto last = static_cast<double>(s.size() - 1), count = static_cast<double>(s.size());
    const double from = s.math.log(s.highest()), to = s.math.log(s.lowest());
    std::vector<float> sigmas;
    for (std::uint32_t i = 0; i <= steps; ++i) {
        if (s.param(0) == 1) {
            // The square root of the time in (0, 1] falls evenly.
            const double root = linspace(1, std::sqrt(1 / count), i, steps + 1);
            sigmas.push_back(static_cast<float>(level(std::clamp(root * root * count - 1, 0.0, last))));
        } else if (s.param(0) == 2) {
            sigmas.push_back(static_cast<float>(s.math.exp(linspace(from, to, i, steps + 1))));
        } else {
            sigmas.push_back(static_cast<float>(level(linspace(last, 0, i, steps + 1))));
        }
    }
    return sigmas;
}

constexpr pumice_param shape(const char* id, const char* help) {
    return {sizeof(pumice_param), PUMICE_PARAM_FLOAT, id, help, nullptr, 0.1, 5, 0.05, 0.6, nullptr, nullptr};
}
const pumice_param kAlpha = shape("alpha", "below 1: more steps at low noise"),
                   kBeta = shape("beta", "below 1: more steps at high noise");
const pumice_param kRho1 = {sizeof(pumice_param), PUMICE_PARAM_FLOAT, "rho", "above 1: more steps at low noise", nullptr,
                            0.1, 10, 0.1, 1, nullptr, nullptr};
const char* const kSkips[] = {"time_uniform", "time_quadratic", "log_snr", nullptr};
const pumice_param kSkip = {sizeof(pumice_param), PUMICE_PARAM_ENUM, "skip", "what the steps are even in", nullptr, 0, 0, 0,
                            0, nullptr, kSkips};
const pumice_param* const kBetaParams[] = {&kAlpha, &kBeta};
const pumice_param* const kPolyParams[] = {&kRho1};
const pumice_param* const kUnipcParams[] = {&kSkip};

const pumice_param kRho7 = {sizeof(pumice_param), PUMICE_PARAM_FLOAT, "rho", "how much the steps crowd at low noise",
                            nullptr, 1, 20, 0.1, 7, nullptr, nullptr};
const pumice_param* const kKarrasParams[] = {&kRho7};

}  // namespace

std::vector<ScheduleMethod> schedule_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_schedule_descriptor);
    return {
        {{kSize, 0, "normal", "Normal", "evenly in the model's time", 0, 0, nullptr}, normal},
        {{kSize, 0, "karras", "Karras", "more steps at low noise; Karras et al. 2022", 1, 0, kKarrasParams}, karras},
        {{kSize, 0, "exponential", "Exponential", "evenly in the logarithm of the noise", 0, 0, nullptr}, exponential},
        {{kSize, 0, "simple", "Simple", "evenly in the model's time, from its table", 0, 0, nullptr}, simple},
        {{kSize, 0, "sgm_uniform", "SGM Uniform", "evenly in the model's time, the last step to no noise", 0, 0, nullptr},
         sgm_uniform},
        {{kSize, 0, "ddim", "DDIM", "from the model's first time step up, in equal strides", 0, 0, nullptr}, ddim},
        {{kSize, 0, "ddim_uniform", "DDIM uniform", "the same by ComfyUI's name", 0, 0, nullptr}, ddim},
        {{kSize, 0, "polyexponential", "Polyexponential", "along a power of the way in log sigma", 1, 0, kPolyParams},
         polyexponential},
        {{kSize, 0, "beta", "Beta", "many steps at both ends; Lee et al. 2024", 2, 0, kBetaParams}, beta},
        {{kSize, 0, "align_your_steps", "Align Your Steps", "levels optimized for few steps; Sabour et al. 2024", 0, 0,
          nullptr},
         align_your_steps},
        {{kSize, 0, "align_your_steps_32", "Align Your Steps 32", "the same curve, to a lower last level", 0, 0,
          nullptr},
         align_your_steps_32},
        {{kSize, 0, "align_your_steps_gits", "Align Your Steps GITS", "levels for few steps; Chen et al. 2024", 0, 0,
          nullptr},
         align_your_steps_gits},
        {{kSize, 0, "turbo", "Turbo", "for Turbo models: equal strides that end at the model's first step", 0, 0,
          nullptr},
         turbo},
        {{kSize, 0, "kl_optimal", "KL Optimal", "evenly in the arc tangent of sigma; Sabour et al. 2024", 0, 0,
          nullptr},
         kl_optimal},
        {{kSize, PUMICE_SCHEDULE_INTERNAL, "unipc_times", "UniPC", "what UniPC walks over", 1, 0, kUnipcParams},
         unipc_times},
        {{kSize, PUMICE_SCHEDULE_INTERNAL, "timesteps", "time steps", "what DDIM and its kin walk over", 0, 0, nullptr},
         timesteps},
    };
}

}  // namespace pumice::samplers
