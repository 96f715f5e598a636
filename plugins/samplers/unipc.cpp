// UniPC: Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models", 2023 (arXiv
// 2302.04867), algorithms 5 and 6 with data prediction, lambda = -log sigma, in x * sqrt(1 + sigma^2).
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

constexpr std::size_t kMost = 3;
using Vector = std::array<double, kMost>;
using Matrix = std::array<Vector, kMost>;

/// a y = b for the first n rows and columns, by elimination; the largest of each column in turn leads.
Vector solve(Matrix a, Vector b, std::size_t n) {
    for (std::size_t c = 0; c < n; ++c) {
        std::size_t lead = c;
        for (std::size_t r = c + 1; r < n; ++r)
            if (std::fabs(a[r][c]) > std::fabs(a[lead][c])) lead = r;
        std::swap(a[c], a[lead]);
        std::swap(b[c], b[lead]);
        for (std::size_t r = c + 1; r < n; ++r) {
            const double factor = a[r][c] / a[c][c];
            for (std::size_t k = c; k < n; ++k) a[r][k] -= factor * a[c][k];
            b[r] -= factor * b[c];
        }
    }
    Vector y{};
    for (std::size_t r = n; r-- > 0;) {
        y[r] = b[r];
        for (std::size_t k = r + 1; k < n; ++k) y[r] -= a[r][k] * y[k];
        y[r] /= a[r][r];
    }
    return y;
}

/// The coefficients of one step of some order: x' = ratio x + (1 - ratio) m0 - scale * sum of rho_k (m_k - m0) / r_k.
struct Step {
    std::size_t order = 1;
    double ratio = 0, scale = 0;
    Vector r{};          ///< of the answers before the last; the new one has 1
    Vector predict{};    ///< rho without the new answer
    Vector correct{};    ///< rho with it, which comes last
};

/// Level i + 1 from the levels up to i. second: B(h) = e^h - 1 instead of h.
Step coefficients(const Sampling& s, std::size_t i, std::size_t order, bool second) {
    Step step;
    step.order = order;
    const double h = s.log(s.sigma(i) / s.sigma(i + 1)), hh = -h, phi1 = s.expm1(hh);
    step.ratio = s.sigma(i + 1) / s.sigma(i);
    step.scale = second ? phi1 : hh;
    for (std::size_t k = 1; k < order; ++k) step.r[k - 1] = s.log(s.sigma(i) / s.sigma(i - k)) / h;
    step.r[order - 1] = 1;
    Matrix powers{};
    Vector b{};
    double phi = phi1 / hh - 1, factorial = 1;
    for (std::size_t row = 0; row < order; ++row) {
        for (std::size_t c = 0; c < order; ++c) powers[row][c] = row == 0 ? 1 : powers[row - 1][c] * step.r[c];
        b[row] = phi * factorial / step.scale;
        factorial *= static_cast<double>(row + 2);
        phi = phi / hh - 1 / factorial;
    }
    if (order == 2)
        step.predict[0] = 0.5;
    else if (order > 2)
        step.predict = solve(powers, b, order - 1);
    step.correct = order == 1 ? Vector{0.5} : solve(powers, b, order);
    return step;
}

/// out = the step from x, with `answers` (the newest first) and, to correct, the new one.
void advance(Sampling& s, const Tensor& out, const Step& step, const std::array<Tensor, kMost>& answers,
             const Tensor* fresh) {
    const Vector& rho = fresh ? step.correct : step.predict;
    double of_last = 1 - step.ratio;
    Vector weights{};
    for (std::size_t k = 0; k + 1 < step.order; ++k) {
        weights[k] = -step.scale * rho[k] / step.r[k];
        of_last -= weights[k];
    }
    const double of_fresh = fresh ? -step.scale * rho[step.order - 1] : 0;
    of_last -= of_fresh;
    const Tensor& newest = fresh ? *fresh : answers[0];
    if (step.order == 1) s.combine(out, {{step.ratio, s.x()}, {of_last, answers[0]}, {of_fresh, newest}});
    if (step.order == 2)
        s.combine(out, {{step.ratio, s.x()}, {of_last, answers[0]}, {weights[0], answers[1]}, {of_fresh, newest}});
    if (step.order == 3)
        s.combine(out, {{step.ratio, s.x()},
                        {of_last, answers[0]},
                        {weights[0], answers[1]},
                        {weights[1], answers[2]},
                        {of_fresh, newest}});
}

void unipc(Sampling& s) {
    const auto most = std::min(static_cast<std::size_t>(s.param(0)), s.steps());
    const bool second = s.param(1) == 1, lower_at_end = s.param(2) != 0;
    std::array<Tensor, kMost> answers{s.tensor(), s.tensor(), s.tensor()};
    const Tensor predicted = s.tensor();
    Tensor fresh = s.tensor();
    s.denoise(s.x(), s.sigma(0), answers[0]);
    for (std::size_t i = 0; i < s.steps(); ++i) {
        std::size_t order = std::min(i + 1, most);
        if (lower_at_end && i + 1 >= most) order = std::min(order, s.steps() - i);
        const Step step = coefficients(s, i, order, second);
        if (i + 1 == s.steps()) {
            advance(s, s.x(), step, answers, nullptr);
        } else {
            advance(s, predicted, step, answers, nullptr);
            s.denoise(predicted, s.sigma(i + 1), fresh);
            advance(s, s.x(), step, answers, &fresh);
            std::swap(answers[2], fresh);
            std::rotate(answers.begin(), answers.end() - 1, answers.end());
        }
        if (!s.step(i)) return;
    }
    const double left = s.sigma(s.steps());
    if (left > 0) s.combine(s.x(), {{1 / std::sqrt(1 + left * left), s.x()}});
}

const char* const kVariants[] = {"bh1", "bh2", nullptr};
const pumice_param kOrder = {sizeof(pumice_param), PUMICE_PARAM_INT, "order", "how many steps it looks back on", nullptr, 1,
                             3, 1, 3, nullptr, nullptr};
const pumice_param kVariant = {sizeof(pumice_param), PUMICE_PARAM_ENUM, "variant", "the function B(h) of the paper",
                               nullptr, 0, 0, 0, 0, nullptr, kVariants};
const pumice_param kLower = {sizeof(pumice_param), PUMICE_PARAM_BOOL, "lower_order_final",
                             "lower the order in the last steps", nullptr, 0, 0, 0, 1, nullptr, nullptr};
const pumice_param* const kParams[] = {&kOrder, &kVariant, &kLower};

}  // namespace

std::vector<SamplerMethod> unipc_methods() {
    return {{{sizeof(pumice_sampler_descriptor), PUMICE_SAMPLER_VARIANCE_PRESERVING, "unipc", "UniPC",
              "predictor and corrector; Zhao et al. 2023; over time steps of its own", "unipc_times", 1, 3, kParams},
             unipc}};
}

}  // namespace pumice::samplers
