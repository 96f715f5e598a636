// Multistep methods: they remember what the model said in the steps before.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

/// Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", 2022 (arXiv
/// 2211.01095), algorithm 2, with lambda = -log sigma. The first step, and one to sigma 0, are of first order.
void dpmpp_2m(Sampling& s) {
    Tensor denoised = s.tensor(), previous = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        s.denoise(s.x(), sigma, denoised);
        const double before = i == 0 ? sigma : s.sigma(i - 1);
        if (before == sigma || next == 0) {
            euler_step(s, s.x(), denoised, sigma, next);
        } else {
            const double h = s.log(sigma / next), h_last = s.log(before / sigma);
            const double ratio = next / sigma, ahead = h / (2 * h_last);
            s.combine(s.x(),
                      {{ratio, s.x()}, {(1 - ratio) * (1 + ahead), denoised}, {-(1 - ratio) * ahead, previous}});
        }
        std::swap(denoised, previous);
        if (!s.step(i)) return;
    }
}

/// The same for the stochastic equation, along a Brownian path (k-diffusion). In a step of no length nothing happens.
void dpmpp_2m_sde(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1);
    const bool heun = s.param(2) == 1;
    Tensor denoised = s.tensor(), previous = s.tensor(), eps;
    if (eta > 0) eps = s.tensor();
    double h_last = 0;
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        s.denoise(s.x(), sigma, denoised);
        if (next == 0) {
            s.combine(s.x(), {{1, denoised}});
        } else if (next < sigma) {
            const double h = s.log(sigma / next), whole = h * (1 + eta), part = -s.expm1(-whole);
            double ahead = 0;
            if (h_last > 0) ahead = (heun ? 1 - part / whole : part / 2) * h / h_last;
            const double keep = next / sigma * s.exp(-eta * h);
            if (eta > 0) {
                s.brownian(eps, s.lowest(), s.highest(), sigma, next);
                s.combine(s.x(), {{keep, s.x()},
                                  {part + ahead, denoised},
                                  {-ahead, previous},
                                  {next * std::sqrt(-s.expm1(-2 * eta * h)) * s_noise, eps}});
            } else {
                s.combine(s.x(), {{keep, s.x()}, {part + ahead, denoised}, {-ahead, previous}});
            }
            h_last = h;
        }
        if (i == 0 && s.ok()) s.combine(previous, {{1, denoised}});
        std::swap(denoised, previous);
        if (!s.step(i)) return;
    }
}

/// Third order: the divided differences of the last three answers. A step of no length counts as none.
void dpmpp_3m_sde(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1);
    Tensor now = s.tensor(), before = s.tensor(), earlier = s.tensor(), eps = s.tensor();
    double h1 = 0, h2 = 0;
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1);
        s.denoise(s.x(), sigma, now);
        double h = 0;
        if (next == 0) {
            s.combine(s.x(), {{1, now}});
        } else if (next < sigma) {
            h = s.log(sigma / next);
            const double whole = h * (1 + eta), phi1 = -s.expm1(-whole), phi2 = 1 - phi1 / whole;
            double of_now = phi1, of_before = 0, of_earlier = 0;
            if (h2 > 0) {
                const double r0 = h1 / h, r1 = h2 / h, phi3 = phi2 / whole - 0.5;
                // d1 = a + (a - b) r0 / (r0 + r1), d2 = (a - b) / (r0 + r1) with a = (now - before) / r0 and b =
                // (before - earlier) / r1.
                const double slope = phi2, bend = (phi2 * r0 - phi3) / (r0 + r1);
                of_now += (slope + bend) / r0;
                of_before += -(slope + bend) / r0 - bend / r1;
                of_earlier += bend / r1;
            } else if (h1 > 0) {
                of_now += phi2 * h / h1;
                of_before -= phi2 * h / h1;
            }
            if (eta > 0) s.brownian(eps, s.lowest(), s.highest(), sigma, next);
            const double noise = eta > 0 ? next * std::sqrt(-s.expm1(-2 * h * eta)) * s_noise : 0;
            if (i == 0) {
                // Tensors without contents must not be read.
                s.combine(before, {{1, now}});
                s.combine(earlier, {{1, now}});
                if (!(eta > 0)) s.combine(eps, {{0, now}});
            }
            s.combine(s.x(), {{s.exp(-whole), s.x()},
                              {of_now, now},
                              {of_before, before},
                              {of_earlier, earlier},
                              {noise, eps}});
        }
        std::swap(before, earlier);
        std::swap(now, before);
        if (h > 0) {
            h2 = h1;
            h1 = h;
        }
        if (!s.step(i)) return;
    }
}

constexpr std::size_t kMostOrder = 4;

/// The last few values of (x - denoised) / sigma, the newest first.
class Slopes {
public:
    explicit Slopes(Sampling& s) : s_(s), denoised_(s.tensor()) {
        for (Tensor& slope : slopes_) slope = s.tensor();
    }
    void add(const Tensor& x, double sigma) {
        std::rotate(slopes_.begin(), slopes_.end() - 1, slopes_.end());
        s_.denoise(x, sigma, denoised_);
        s_.combine(slopes_[0], {{1 / sigma, x}, {-1 / sigma, denoised_}});
        count_ = std::min(count_ + 1, kMostOrder);
    }
    void forget_newest() {
        std::rotate(slopes_.begin(), slopes_.begin() + 1, slopes_.end());
        --count_;
    }
    std::size_t count() const { return count_; }
    const Tensor& newest() const { return slopes_[0]; }
    /// out = x + the weighted sum of as many as there are weights, at most count().
    void advance(const Tensor& out, const Tensor& x, const std::vector<double>& weights) {
        const auto w = [&](std::size_t i) { return weights[i]; };
        const auto& d = slopes_;
        if (weights.size() == 1) s_.combine(out, {{1, x}, {w(0), d[0]}});
        if (weights.size() == 2) s_.combine(out, {{1, x}, {w(0), d[0]}, {w(1), d[1]}});
        if (weights.size() == 3) s_.combine(out, {{1, x}, {w(0), d[0]}, {w(1), d[1]}, {w(2), d[2]}});
        if (weights.size() == 4)
            s_.combine(out, {{1, x}, {w(0), d[0]}, {w(1), d[1]}, {w(2), d[2]}, {w(3), d[3]}});
    }

private:
    Sampling& s_;
    Tensor denoised_;
    std::array<Tensor, kMostOrder> slopes_;
    std::size_t count_ = 0;
};

/// The Lagrange polynomial that is 1 at points[j] and 0 at the others.
double lagrange(const std::vector<double>& points, std::size_t j, double at) {
    double product = 1;
    for (std::size_t k = 0; k < points.size(); ++k)
        if (k != j) product *= (at - points[k]) / (points[j] - points[k]);
    return product;
}

/// How many of the levels before and at i, i - 1, … differ, at most `most`: a polynomial needs points that do.
std::size_t distinct(const Sampling& s, std::size_t i, std::size_t most) {
    std::size_t count = 1;
    while (count < most && count <= i && s.sigma(i - count) != s.sigma(i - count + 1)) ++count;
    return count;
}

/// Linear multistep (Adams and Bashforth) over sigma, as in k-diffusion: the polynomial through the last slopes,
/// integrated. Gauss's two points are exact up to third degree.
void lms(Sampling& s) {
    const auto most = static_cast<std::size_t>(s.param(0));
    Slopes slopes(s);
    const double offset = 1 / std::sqrt(3.0);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        slopes.add(s.x(), s.sigma(i));
        std::vector<double> points, weights;
        const std::size_t order = distinct(s, i, most);
        for (std::size_t k = 0; k < order; ++k) points.push_back(s.sigma(i - k));
        const double half = (s.sigma(i + 1) - s.sigma(i)) / 2, middle = (s.sigma(i + 1) + s.sigma(i)) / 2;
        for (std::size_t j = 0; j < order; ++j)
            weights.push_back(half * (lagrange(points, j, middle - half * offset) +
                                      lagrange(points, j, middle + half * offset)));
        slopes.advance(s.x(), s.x(), weights);
        if (!s.step(i)) return;
    }
}

/// Adams and Bashforth for equal steps of length 1: weights of the newest slopes.
std::vector<double> adams_bashforth(std::size_t order) {
    if (order == 1) return {1};
    if (order == 2) return {3.0 / 2, -1.0 / 2};
    if (order == 3) return {23.0 / 12, -16.0 / 12, 5.0 / 12};
    return {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24};
}

/// Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds", 2022 (arXiv 2202.09778), in the form of
/// ldm: Adams and Bashforth over the time steps as if they were equally far apart, a Heun step first. The noise left at
/// the end counts into the picture.
void plms(Sampling& s) {
    Slopes slopes(s);
    const Tensor ahead = s.tensor(), first = s.tensor();
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double step = s.sigma(i + 1) - s.sigma(i);
        slopes.add(s.x(), s.sigma(i));
        if (i == 0 && s.sigma(1) > 0) {
            s.combine(first, {{1, slopes.newest()}});
            s.combine(ahead, {{1, s.x()}, {step, first}});
            slopes.add(ahead, s.sigma(1));
            s.combine(s.x(), {{1, s.x()}, {step / 2, first}, {step / 2, slopes.newest()}});
            slopes.forget_newest();
        } else {
            std::vector<double> weights = adams_bashforth(slopes.count());
            for (double& weight : weights) weight *= step;
            slopes.advance(s.x(), s.x(), weights);
        }
        if (!s.step(i)) return;
    }
    const double left = s.sigma(s.steps());
    if (left > 0) s.combine(s.x(), {{1 / std::sqrt(1 + left * left), s.x()}});
}

/// Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator", 2023 (arXiv 2204.13902),
/// section 3.4: Adams and Bashforth over sigma as if the levels were equally far apart, with lower orders first; to 0,
/// what the model takes for the picture.
void ipndm(Sampling& s) {
    const auto most = static_cast<std::size_t>(s.param(0));
    Slopes slopes(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double step = s.sigma(i + 1) - s.sigma(i);
        slopes.add(s.x(), s.sigma(i));
        std::vector<double> weights = adams_bashforth(std::min(i + 1, most));
        for (double& weight : weights) weight *= step;
        slopes.advance(s.x(), s.x(), weights);
        if (!s.step(i)) return;
    }
}

/// Weights of the newest slopes for steps of the lengths h[0] (to come), h[1], … before it, as the authors of iPNDM-v
/// published them (Zhou et al., "Fast ODE-based Sampling for Diffusion Models in Around 5 Steps", 2024, arXiv
/// 2312.00094): for equal steps those of Adams and Bashforth, for others no polynomial's from the third order on.
std::vector<double> ipndm_v_weights(std::size_t order, const std::array<double, kMostOrder>& h) {
    if (order == 1) return {1};
    const double ratio = h[0] / h[1];
    std::vector<double> weights = {(2 + ratio) / 2, -ratio / 2};
    if (order == 2) return weights;
    const double bend = (1 - h[0] / (3 * (h[0] + h[1])) * (h[0] * (h[0] + h[1])) / (h[1] * (h[1] + h[2]))) / 2,
                 back = h[1] / h[2];
    weights[0] += bend;
    weights[1] -= (1 + back) * bend;
    weights.push_back(bend * back);
    if (order == 3) return weights;
    const double twist =
        ((1 - h[0] / (3 * (h[0] + h[1]))) / 2 + (1 - h[0] / (2 * (h[0] + h[1]))) * h[0] / (6 * (h[0] + h[1] + h[2]))) *
        (h[0] * (h[0] + h[1]) * (h[0] + h[1] + h[2])) / (h[1] * (h[1] + h[2]) * (h[1] + h[2] + h[3]));
    const double further = h[1] * (h[1] + h[2]) / (h[2] * (h[2] + h[3]));
    weights[0] += twist;
    weights[1] -= (1 + back + further) * twist;
    weights[2] += (back + further * (1 + h[2] / h[3])) * twist;
    weights.push_back(-twist * further * h[1] / h[2]);
    return weights;
}

/// iPNDM with the steps' true lengths. A step of no length ends the look back.
void ipndm_v(Sampling& s) {
    const auto most = static_cast<std::size_t>(s.param(0));
    Slopes slopes(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        slopes.add(s.x(), s.sigma(i));
        const std::size_t order = distinct(s, i, most);
        std::array<double, kMostOrder> h{};
        for (std::size_t k = 0; k < order; ++k) h[k] = s.sigma(i + 1 - k) - s.sigma(i - k);
        std::vector<double> weights = ipndm_v_weights(order, h);
        for (double& weight : weights) weight *= h[0];
        slopes.advance(s.x(), s.x(), weights);
        if (!s.step(i)) return;
    }
}

/// The time of the variance-preserving process of Song et al. 2021 (arXiv 2011.13456) at which the noise has level
/// sigma, with the betas that reach 0.002 at 0.001 and 80 at 1 (Karras et al. 2022, table 1).
class VpTime {
public:
    explicit VpTime(const Sampling& s) : s_(s) {
        constexpr double kEpsilon = 1e-3, kLeast = 0.002, kMost = 80;
        const double least = s.log(kLeast * kLeast + 1), most = s.log(kMost * kMost + 1);
        slope_ = 2 * (least / kEpsilon - most) / (kEpsilon - 1);
        first_ = most - slope_ / 2;
    }
    double operator()(double sigma) const {
        return (std::sqrt(first_ * first_ + 2 * slope_ * s_.log(sigma * sigma + 1)) - first_) / slope_;
    }

private:
    const Sampling& s_;
    double slope_, first_;
};

/// Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator", 2023 (arXiv 2204.13902), tAB-DEIS:
/// the polynomial through the last slopes over the process' time, integrated over sigma by Simpson's rule.
void deis(Sampling& s) {
    const auto most = static_cast<std::size_t>(s.param(0));
    constexpr std::size_t kParts = 256;  // even
    Slopes slopes(s);
    const VpTime time(s);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        const double sigma = s.sigma(i), next = s.sigma(i + 1), step = next - sigma;
        slopes.add(s.x(), sigma);
        const std::size_t order = next > 0 ? distinct(s, i, most) : 1;
        std::vector<double> points, weights(order, 0.0);
        for (std::size_t k = 0; k < order; ++k) points.push_back(time(s.sigma(i - k)));
        if (order == 1) weights[0] = step;
        for (std::size_t k = 0; k <= kParts && order > 1; ++k) {
            const double at = time(sigma + step * static_cast<double>(k) / kParts);
            const double weight = k == 0 || k == kParts ? 1 : k % 2 == 1 ? 4 : 2;
            for (std::size_t j = 0; j < order; ++j)
                weights[j] += weight * lagrange(points, j, at) * step / (3 * static_cast<double>(kParts));
        }
        slopes.advance(s.x(), s.x(), weights);
        if (!s.step(i)) return;
    }
}

constexpr pumice_param order(double most, double value) {
    return {sizeof(pumice_param), PUMICE_PARAM_INT, "order", "how many steps it looks back on", nullptr, 1, most, 1, value,
            nullptr, nullptr};
}
const pumice_param kLmsOrder = order(4, 4), kDeisOrder = order(4, 3), kIpndmOrder = order(4, 4);
const char* const kSolvers[] = {"midpoint", "heun", nullptr};
const pumice_param kSolver = {sizeof(pumice_param), PUMICE_PARAM_ENUM, "solver", "how the second order is had", nullptr, 0,
                              0, 0, 0, nullptr, kSolvers};
const pumice_param* const kLmsParams[] = {&kLmsOrder};
const pumice_param* const kIpndmParams[] = {&kIpndmOrder};
const pumice_param* const kDeisParams[] = {&kDeisOrder};
const pumice_param* const kSdeParams[] = {&kEta, &kNoise, &kSolver};

}  // namespace

std::vector<SamplerMethod> multistep_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_sampler_descriptor);
    return {
        {{kSize, 0, "dpmpp_2m", "DPM++ 2M", "second order, deterministic; Lu et al. 2022", nullptr, 1, 0, nullptr},
         dpmpp_2m},
        {{kSize, 0, "dpmpp_2m_sde", "DPM++ 2M SDE", "second order, along a Brownian path", nullptr, 1, 3, kSdeParams},
         dpmpp_2m_sde},
        {{kSize, PUMICE_SAMPLER_DISCARD_PENULTIMATE, "dpmpp_3m_sde", "DPM++ 3M SDE", "third order, along a Brownian path",
          nullptr, 1, 2, kSdeParams},
         dpmpp_3m_sde},
        {{kSize, 0, "lms", "LMS", "linear multistep, deterministic", nullptr, 1, 1, kLmsParams}, lms},
        {{kSize, PUMICE_SAMPLER_VARIANCE_PRESERVING, "plms", "PLMS", "Liu et al. 2022; over time steps of its own",
          "timesteps", 1, 0, nullptr},
         plms},
        {{kSize, 0, "deis", "DEIS", "multistep, deterministic; Zhang and Chen 2023", nullptr, 1, 1, kDeisParams}, deis},
        {{kSize, 0, "ipndm", "IPNDM", "multistep, deterministic; Zhang and Chen 2023", nullptr, 1, 1, kIpndmParams},
         ipndm},
        {{kSize, 0, "ipndm_v", "IPNDM_V", "the same with the steps' true lengths; Zhou et al. 2024", nullptr, 1, 1,
          kIpndmParams},
         ipndm_v},
    };
}

}  // namespace pumice::samplers
