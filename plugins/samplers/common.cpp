#include <algorithm>
#include <cmath>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

constexpr double kAnySigma = 1e6;

constexpr pumice_param number(const char* id, const char* help, double least, double most, double value) {
    return {sizeof(pumice_param), PUMICE_PARAM_FLOAT, id, help, nullptr, least, most, 0.01, value, nullptr, nullptr};
}

}  // namespace

const pumice_param kEta = number("eta", "how much of the noise that a step removes is drawn anew", 0, 1, 1);
const pumice_param kEtaZero = number("eta", "how much of the noise that a step removes is drawn anew", 0, 1, 0);
const pumice_param kNoise = number("s_noise", "factor on fresh noise", 0, 2, 1);
const pumice_param kChurn = number("s_churn", "noise added before the steps, as a part of their level, in all", 0, 100, 0);
const pumice_param kChurnLeast = number("s_tmin", "the lowest level that noise is added at", 0, kAnySigma, 0);
const pumice_param kChurnMost = number("s_tmax", "the highest level that noise is added at", 0, kAnySigma, kAnySigma);

AncestralStep ancestral_step(double sigma, double next, double eta) {
    const double fresh = eta * std::sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
    const double up = std::min(next, fresh);
    return {std::sqrt(next * next - up * up), up};
}

Churn::Churn(Sampling& s) : s_(s), churn_(s.param(0)), noise_(s.param(1)), least_(s.param(2)), most_(s.param(3)) {
    if (churn_ > 0) eps_ = s.tensor();
}

double Churn::raise(double sigma) {
    if (!(churn_ > 0)) return sigma;
    s_.noise(eps_);
    if (!(sigma >= least_ && sigma <= most_)) return sigma;
    const double raised = sigma * (1 + std::min(churn_ / static_cast<double>(s_.steps()), std::sqrt(2.0) - 1));
    s_.combine(s_.x(), {{1, s_.x()}, {noise_ * std::sqrt(raised * raised - sigma * sigma), eps_}});
    return raised;
}

void euler_step(Sampling& s, const Tensor& x, const Tensor& denoised, double sigma, double next) {
    const double ratio = next / sigma;
    s.combine(x, {{ratio, x}, {1 - ratio, denoised}});
}

}  // namespace pumice::samplers
