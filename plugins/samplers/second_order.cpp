// Methods that ask the model twice a step, and LCM.
#include <algorithm>
#include <cmath>
#include <utility>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

/// Heun's step from `sigma` to `next`: Karras et al. 2022 (arXiv 2206.00364), algorithm 2; an Euler step to 0.
void heun_step(Sampling& s, const Tensor& denoised, const Tensor& x2, const Tensor& denoised2, double sigma,
               double next) {
    s.denoise(s.x(), sigma, denoised);
    if (next == 0) return euler_step(s, s.x(), denoised, sigma, next);
    const double ratio = next / sigma, half = (next - sigma) / 2;
    s.combine(x2, {{ratio, s.x()}, {1 - ratio, denoised}});
    s.denoise(x2, next, denoised2);
    s.combine(s.x(), {{1 + half / sigma, s.x()}, {-half / sigma, denoised}, {half / next, x2}, {-half / next, denoised2}});
}

void heun(Sampling& s) {
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor();
    Churn churn(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        heun_step(s, denoised, x2, denoised2, churn.raise(s.sigma(i)), s.sigma(i + 1));
        if (!s.step(i)) return;
    }
}

/// Heun++2: the mean of the slopes here and at the next two levels (one before the end), weighted by their noise levels
/// over the first one's; an Euler step to the last. In the form of Forge, after the web UI extension that it comes
/// from.
void heunpp2(Sampling& s) {
    Churn churn(s);
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor(), x3 = s.tensor(),
                 denoised3 = s.tensor();
    const std::size_t last = s.steps();
    for (std::size_t i = 0; i < last; ++i) {
        const double sigma = churn.raise(s.sigma(i)), next = s.sigma(i + 1), step = next - sigma;
        s.denoise(s.x(), sigma, denoised);
        if (next == s.sigma(last)) {
            euler_step(s, s.x(), denoised, sigma, next);
        } else {
            const double after = s.sigma(i + 2), ratio = next / sigma;
            const bool third = after != s.sigma(last);
            s.combine(x2, {{ratio, s.x()}, {1 - ratio, denoised}});
            s.denoise(x2, next, denoised2);
            const double whole = (third ? 3 : 2) * s.sigma(0), w2 = next / whole, w3 = third ? after / whole : 0;
            const double of_first = step * (1 - w2 - w3) / sigma, of_second = step * w2 / next;
            if (third) {
                s.combine(x3, {{after / next, x2}, {1 - after / next, denoised2}});
                s.denoise(x3, after, denoised3);
                const double of_third = step * w3 / after;
                s.combine(x2, {{of_second, x2}, {-of_second, denoised2}, {of_third, x3}, {-of_third, denoised3}});
                s.combine(s.x(), {{1 + of_first, s.x()}, {-of_first, denoised}, {1, x2}});
            } else {
                s.combine(s.x(),
                          {{1 + of_first, s.x()}, {-of_first, denoised}, {of_second, x2}, {-of_second, denoised2}});
            }
        }
        if (!s.step(i)) return;
    }
}

/// The midpoint method over log sigma: Lu et al., "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model
/// Sampling in Around 10 Steps", 2022 (arXiv 2206.00927), in the form of k-diffusion.
void midpoint_step(Sampling& s, const Tensor& denoised, const Tensor& x2, const Tensor& denoised2, double sigma,
                   double next) {
    const double middle = s.exp((s.log(sigma) + s.log(next)) / 2);
    const double ratio = middle / sigma, slope = (next - sigma) / middle;
    s.combine(x2, {{ratio, s.x()}, {1 - ratio, denoised}});
    s.denoise(x2, middle, denoised2);
    s.combine(s.x(), {{1, s.x()}, {slope, x2}, {-slope, denoised2}});
}

void dpm2(Sampling& s) {
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor();
    Churn churn(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = churn.raise(s.sigma(i)), next = s.sigma(i + 1);
        s.denoise(s.x(), sigma, denoised);
        if (next == 0)
            euler_step(s, s.x(), denoised, sigma, next);
        else
            midpoint_step(s, denoised, x2, denoised2, sigma, next);
        if (!s.step(i)) return;
    }
}

/// dpm2 to below the next level, and fresh noise up to it.
void dpm2_a(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1);
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor(), eps = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i);
        const AncestralStep step = ancestral_step(sigma, s.sigma(i + 1), eta);
        s.denoise(s.x(), sigma, denoised);
        if (step.down == 0) {
            euler_step(s, s.x(), denoised, sigma, 0);
        } else {
            midpoint_step(s, denoised, x2, denoised2, sigma, step.down);
        }
        if (step.up > 0) {
            s.noise(eps);
            s.combine(s.x(), {{1, s.x()}, {step.up * s_noise, eps}});
        }
        if (!s.step(i)) return;
    }
}

/// Lu et al. 2022 (arXiv 2211.01095), algorithm 1 of DPM-Solver++ (2S) with r = 1/2, ancestral.
void dpmpp_2s_a(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1);
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor(), eps = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        const AncestralStep step = ancestral_step(sigma, next, eta);
        s.denoise(s.x(), sigma, denoised);
        if (step.down == 0) {
            euler_step(s, s.x(), denoised, sigma, 0);
            if (next > 0) {
                s.noise(eps);
                s.combine(s.x(), {{1, s.x()}, {step.up * s_noise, eps}});
            }
        } else {
            const double h = s.log(sigma / step.down), middle = s.exp(-h / 2);
            s.combine(x2, {{middle, s.x()}, {-s.expm1(-h / 2), denoised}});
            s.denoise(x2, sigma * middle, denoised2);
            s.noise(eps);
            s.combine(s.x(),
                      {{step.down / sigma, s.x()}, {-s.expm1(-h), denoised2}, {step.up * s_noise, eps}});
        }
        if (!s.step(i)) return;
    }
}

/// k-diffusion's DPM++ SDE: DPM-Solver++ (2S) for the stochastic equation, along a Brownian path. Levels between steps
/// are rounded to float, as there, because the path's values hang on them.
void dpmpp_sde(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1), r = s.param(2);
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor(), eps = s.tensor();
    const auto time = [&](double sigma) { return static_cast<double>(static_cast<float>(-s.log(sigma))); };
    const auto level = [&](double t) { return static_cast<double>(static_cast<float>(s.exp(-t))); };
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        s.denoise(s.x(), sigma, denoised);
        if (next == 0) {
            euler_step(s, s.x(), denoised, sigma, next);
        } else {
            const double t = time(sigma), t_next = time(next), start = level(t), end = level(t_next);
            const double between = level(static_cast<double>(static_cast<float>(t + (t_next - t) * r)));
            const AncestralStep first = ancestral_step(start, between, eta);
            s.brownian(eps, s.lowest(), s.highest(), start, between);
            s.combine(x2, {{first.down / start, s.x()}, {1 - first.down / start, denoised}, {first.up * s_noise, eps}});
            s.denoise(x2, between, denoised2);
            const AncestralStep second = ancestral_step(start, end, eta);
            const double weight = 1 - second.down / start, of_second = 1 / (2 * r);
            s.brownian(eps, s.lowest(), s.highest(), start, end);
            s.combine(s.x(), {{second.down / start, s.x()},
                              {weight * (1 - of_second), denoised},
                              {weight * of_second, denoised2},
                              {second.up * s_noise, eps}});
        }
        if (!s.step(i)) return;
    }
}

/// Luo et al., "Latent Consistency Models", 2023 (arXiv 2310.04378), algorithm 3: to the picture, and back to the next
/// level with fresh noise.
void lcm(Sampling& s) {
    const Tensor denoised = s.tensor(), eps = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        s.denoise(s.x(), s.sigma(i), denoised);
        if (s.sigma(i + 1) > 0) {
            s.noise(eps);
            s.combine(s.x(), {{1, denoised}, {s.sigma(i + 1), eps}});
        } else {
            s.combine(s.x(), {{1, denoised}});
        }
        if (!s.step(i)) return;
    }
}

/// `count` levels of Karras et al. 2022, equation 5, rho = 7, rounded to float, without the 0.
std::vector<double> karras_levels(Sampling& s, std::size_t count, double lowest, double highest) {
    const double from = s.pow(highest, 1.0 / 7), to = s.pow(lowest, 1.0 / 7);
    std::vector<double> levels;
    for (std::size_t i = 0; i < count; ++i) {
        const double at = count < 2 ? from : from + (to - from) * static_cast<double>(i) / static_cast<double>(count - 1);
        levels.push_back(static_cast<double>(static_cast<float>(s.pow(at, 7))));
    }
    return levels;
}

std::size_t nearest(const std::vector<double>& levels, double to) {
    return static_cast<std::size_t>(
        std::min_element(levels.begin(), levels.end(),
                         [to](double a, double b) { return std::fabs(a - to) < std::fabs(b - to); }) -
        levels.begin());
}

/// The steps of restart, as AUTOMATIC1111 chooses them: from 20 steps on, some of them are spent on going back from 0.1
/// to 2 once (from 36 on twice).
std::vector<std::pair<double, double>> restart_steps(Sampling& s) {
    std::vector<double> levels;
    for (std::size_t i = 0; i <= s.steps(); ++i) levels.push_back(s.sigma(i));
    std::size_t at = 0, back = 0, times = 0;
    constexpr double kFrom = 0.1, kTo = 2;
    if (s.steps() >= 20) {
        back = s.steps() >= 36 ? s.steps() / 4 : 9;
        times = s.steps() >= 36 ? 2 : 1;
        levels = karras_levels(s, s.steps() - back * times, s.lowest(), s.highest());
        levels.push_back(0);
        at = nearest(levels, kFrom);
    }
    std::vector<std::pair<double, double>> steps;
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
        steps.emplace_back(levels[i], levels[i + 1]);
        const std::size_t top = nearest(levels, kTo);
        if (times == 0 || i + 1 != at || top >= at) continue;
        const std::vector<double> again = karras_levels(s, back + 1, levels[at], levels[top]);
        for (std::size_t round = 0; round < times; ++round)
            for (std::size_t j = 0; j + 1 < again.size(); ++j) steps.emplace_back(again[j], again[j + 1]);
    }
    return steps;
}

/// Xu et al., "Restart Sampling for Improving Generative Processes", 2023 (arXiv 2306.14878): Heun steps, now and then
/// back to a higher level with fresh noise.
void restart(Sampling& s) {
    const double s_noise = s.param(0);
    const Tensor denoised = s.tensor(), x2 = s.tensor(), denoised2 = s.tensor(), eps = s.tensor();
    const auto steps = restart_steps(s);
    double level = steps.empty() ? 0 : steps.front().first;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto [sigma, next] = steps[i];
        if (level < sigma) {
            s.noise(eps);
            s.combine(s.x(), {{1, s.x()}, {s_noise * std::sqrt(sigma * sigma - level * level), eps}});
        }
        heun_step(s, denoised, x2, denoised2, sigma, next);
        level = next;
        if (!s.step(i, steps.size())) return;
    }
}

const pumice_param kMiddle = {sizeof(pumice_param), PUMICE_PARAM_FLOAT, "r", "where in a step the second call is", nullptr,
                              0.05, 1, 0.05, 0.5, nullptr, nullptr};
const pumice_param* const kChurnParams[] = {&kChurn, &kNoise, &kChurnLeast, &kChurnMost};
const pumice_param* const kAncestralParams[] = {&kEta, &kNoise};
const pumice_param* const kSdeParams[] = {&kEta, &kNoise, &kMiddle};
const pumice_param* const kRestartParams[] = {&kNoise};

}  // namespace

std::vector<SamplerMethod> second_order_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_sampler_descriptor);
    constexpr std::uint32_t kDiscard = PUMICE_SAMPLER_DISCARD_PENULTIMATE;
    return {
        {{kSize, 0, "heun", "Heun", "second order, deterministic; Karras et al. 2022", nullptr, 2, 4, kChurnParams},
         heun},
        {{kSize, 0, "heunpp2", "HeunPP2", "second and third order, three calls a step, deterministic", nullptr, 3, 4,
          kChurnParams},
         heunpp2},
        {{kSize, kDiscard, "dpm2", "DPM2", "second order, deterministic; Lu et al. 2022", nullptr, 2, 4, kChurnParams},
         dpm2},
        {{kSize, kDiscard, "dpm2_a", "DPM2 a", "second order, fresh noise in every step", nullptr, 2, 2, kAncestralParams},
         dpm2_a},
        {{kSize, 0, "dpmpp_2s_a", "DPM++ 2S a", "second order, fresh noise in every step; Lu et al. 2022", nullptr, 2, 2,
          kAncestralParams},
         dpmpp_2s_a},
        {{kSize, 0, "dpmpp_sde", "DPM++ SDE", "second order, along a Brownian path", nullptr, 2, 3, kSdeParams}, dpmpp_sde},
        {{kSize, 0, "lcm", "LCM", "few steps, for latent consistency models; Luo et al. 2023", nullptr, 1, 0, nullptr}, lcm},
        {{kSize, 0, "restart", "Restart", "Heun steps that go back now and then; Xu et al. 2023", nullptr, 2, 1,
          kRestartParams},
         restart},
    };
}

}  // namespace pumice::samplers
