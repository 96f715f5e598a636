// DPM-Solver with steps of first, second and third order over t = -log sigma: Lu et al. 2022 (arXiv 2206.00927), in the
// form of k-diffusion.
#include <algorithm>
#include <cmath>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

class Solver {
public:
    explicit Solver(Sampling& s)
        : s_(s), u_(s.tensor()), denoised_(s.tensor()), eps0_(s.tensor()), eps1_(s.tensor()), eps2_(s.tensor()) {}

    double level(double t) const { return s_.exp(-t); }

    /// The noise in x at t, where every step begins.
    void begin(const Tensor& x, double t) { eps(eps0_, x, t); }

    /// Equation 3.7. `out` may be x.
    void first(const Tensor& out, const Tensor& x, double t, double next) {
        s_.combine(out, {{1, x}, {-level(next) * s_.expm1(next - t), eps0_}});
    }
    /// Algorithm 1, r1 in (0, 1). The noise at t + r1 h stays for `third`.
    void second(const Tensor& out, const Tensor& x, double t, double next, double r1) {
        const double h = next - t, s1 = t + r1 * h;
        s_.combine(u_, {{1, x}, {-level(s1) * s_.expm1(r1 * h), eps0_}});
        eps(eps1_, u_, s1);
        const double whole = level(next) * s_.expm1(h), more = whole / (2 * r1);
        s_.combine(out, {{1, x}, {more - whole, eps0_}, {-more, eps1_}});
    }
    /// Algorithm 2 with r1 = 1/3, r2 = 2/3. known: the noise at t + h/3 is there from `second`.
    void third(const Tensor& out, const Tensor& x, double t, double next, bool known) {
        constexpr double kR1 = 1.0 / 3, kR2 = 2.0 / 3;
        const double h = next - t, s1 = t + kR1 * h, s2 = t + kR2 * h;
        if (!known) {
            s_.combine(u_, {{1, x}, {-level(s1) * s_.expm1(kR1 * h), eps0_}});
            eps(eps1_, u_, s1);
        }
        const double part = s_.expm1(kR2 * h), bend = level(s2) * (kR2 / kR1) * (part / (kR2 * h) - 1);
        s_.combine(u_, {{1, x}, {bend - level(s2) * part, eps0_}, {-bend, eps1_}});
        eps(eps2_, u_, s2);
        const double whole = s_.expm1(h), more = level(next) / kR2 * (whole / h - 1);
        s_.combine(out, {{1, x}, {more - level(next) * whole, eps0_}, {-more, eps2_}});
    }

private:
    void eps(const Tensor& out, const Tensor& x, double t) {
        const double sigma = level(t);
        s_.denoise(x, sigma, denoised_);
        s_.combine(out, {{1 / sigma, x}, {-1 / sigma, denoised_}});
    }

    Sampling& s_;
    Tensor u_, denoised_, eps0_, eps1_, eps2_;
};

/// Where a step from t to `next` goes before fresh noise, and how much of it.
struct StochasticStep {
    double to, noise;
};

StochasticStep stochastic(Sampling& s, const Solver& solver, double t, double next, double end, double eta) {
    if (!(eta > 0)) return {next, 0};
    const AncestralStep step = ancestral_step(solver.level(t), solver.level(next), eta);
    if (!(step.down > 0)) return {end, 0};
    const double to = std::min(end, -s.log(step.down)), level = solver.level(next), reached = solver.level(to);
    return {to, std::sqrt(std::max(0.0, level * level - reached * reached))};
}

void add_noise(Sampling& s, const Tensor& eps, double amount) {
    if (!(amount > 0)) return;
    s.noise(eps);
    s.combine(s.x(), {{1, s.x()}, {amount, eps}});
}

/// As many model calls as there are steps, in steps of third order as far as they go.
void dpm_fast(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1);
    Solver solver(s);
    const Tensor eps = s.tensor();
    const double start = -s.log(s.highest()), end = -s.log(s.lowest());
    const std::size_t calls = s.steps(), parts = calls / 3 + 1;
    std::size_t left = calls;
    for (std::size_t i = 0; left > 0; ++i) {
        // 3, 3, …, and what is left; a multiple of 3 ends with 2, 1.
        const std::size_t order = left == 3 && calls % 3 == 0 ? 2 : std::min<std::size_t>(left, 3);
        const auto at = [&](std::size_t k) {
            return start + (end - start) * static_cast<double>(k) / static_cast<double>(parts);
        };
        const double t = at(i), next = at(i + 1);
        const StochasticStep step = stochastic(s, solver, t, next, end, eta);
        solver.begin(s.x(), t);
        if (order == 1)
            solver.first(s.x(), s.x(), t, step.to);
        else if (order == 2)
            solver.second(s.x(), s.x(), t, step.to, 0.5);
        else
            solver.third(s.x(), s.x(), t, step.to, false);
        add_noise(s, eps, step.noise * s_noise);
        left -= order;
        if (!s.step(calls - left - 1, calls)) return;
    }
}

/// The angle whose tangent is x, good to about 1e-8.
double arc_tangent(Sampling& s, double x) {
    const double angle = s.acos(1 / std::sqrt(1 + x * x));
    return x < 0 ? -angle : angle;
}

/// The size of the difference of two results against what is tolerated, root mean square: 1 is just tolerated.
double error_of(Sampling& s, const Tensor& low, const Tensor& high, const Tensor& previous, double absolute,
                double relative) {
    const std::vector<float> l = s.read(low), h = s.read(high), p = s.read(previous);
    double sum = 0;
    for (std::size_t i = 0; i < l.size() && s.ok(); ++i) {
        const double largest = std::max(std::fabs(static_cast<double>(l[i])), std::fabs(static_cast<double>(p[i])));
        const double error =
            (static_cast<double>(l[i]) - static_cast<double>(h[i])) / std::max(absolute, relative * largest);
        sum += error * error;
    }
    return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, l.size())));
}

/// Chooses its own steps between the first and the last level, whatever their number: each is done in second and in
/// third order, and is taken if they agree. Lu et al. 2022, appendix C; the step's size by an integral controller.
void dpm_adaptive(Sampling& s) {
    const double eta = s.param(0), s_noise = s.param(1), relative = s.param(2), absolute = s.param(3);
    constexpr double kAccept = 0.81, kFirst = 0.05;
    Solver solver(s);
    const Tensor eps = s.tensor(), low = s.tensor(), high = s.tensor(), previous = s.tensor();
    const double end = -s.log(s.lowest());
    const double order = eta > 0 ? 1.5 : 3;
    double t = -s.log(s.highest()), h = kFirst;
    s.combine(previous, {{1, s.x()}});
    constexpr std::size_t kMost = 10000;
    for (std::size_t tried = 0, taken = 0; t < end - 1e-5; ++tried) {
        if (tried == kMost) return s.fail(PUMICE_SDK_NOT_FINITE, "the step size has become too small; raise rtol");
        const double next = std::min(end, t + h);
        const StochasticStep step = stochastic(s, solver, t, next, end, eta);
        solver.begin(s.x(), t);
        solver.second(low, s.x(), t, step.to, 1.0 / 3);
        solver.third(high, s.x(), t, step.to, true);
        const double error = error_of(s, low, high, previous, absolute, relative);
        if (!s.ok()) return;
        const double factor = 1 + arc_tangent(s, s.pow(1 / (error + 1e-8), 1 / order) - 1);
        h *= factor;
        if (!(factor >= kAccept)) continue;
        s.combine(previous, {{1, low}});
        s.combine(s.x(), {{1, high}});
        add_noise(s, eps, step.noise * s_noise);
        t = next;
        ++taken;
        const double rest = std::ceil((end - t) / h);
        if (!s.step(taken - 1, taken + static_cast<std::size_t>(std::clamp(rest, 0.0, 1000.0)))) return;
    }
}

constexpr pumice_param tolerance(const char* id, const char* help, double value) {
    return {sizeof(pumice_param), PUMICE_PARAM_FLOAT, id, help, nullptr, 1e-6, 1, 0.001, value, nullptr, nullptr};
}
const pumice_param kRelative = tolerance("rtol", "how far a step's two results may be apart, as a part of them", 0.05);
const pumice_param kAbsolute = tolerance("atol", "how far they may be apart in any case", 0.0078);
const pumice_param* const kFastParams[] = {&kEtaZero, &kNoise};
const pumice_param* const kAdaptiveParams[] = {&kEtaZero, &kNoise, &kRelative, &kAbsolute};

}  // namespace

std::vector<SamplerMethod> dpm_solver_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_sampler_descriptor);
    return {
        {{kSize, 0, "dpm_fast", "DPM fast", "steps of third order, evenly in log sigma; Lu et al. 2022", nullptr, 1, 2,
          kFastParams},
         dpm_fast},
        {{kSize, 0, "dpm_adaptive", "DPM adaptive", "chooses its own steps, whatever number is asked for", nullptr, 1, 4,
          kAdaptiveParams},
         dpm_adaptive},
    };
}

}  // namespace pumice::samplers
