#include "diffusion/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "base/exact_math.hpp"

namespace pumice {
namespace {

/// count numbers from first to last; one number: first.
double linspace(double first, double last, std::uint32_t i, std::uint32_t count) {
    return count < 2 ? first : first + (last - first) * i / (count - 1);
}

}  // namespace

void SigmaTable::add(float alpha_cumprod, float sigma) {
    alphas_cumprod_.push_back(alpha_cumprod);
    sigmas_.push_back(sigma);
    log_sigmas_.push_back(exact::log(double(sigma)));
}

SigmaTable SigmaTable::scaled_linear(double first, double last, std::uint32_t steps, TableRounding rounding) {
    SigmaTable table;
    double product = 1;
    for (std::uint32_t i = 0; i < steps; ++i) {
        const double root = linspace(std::sqrt(first), std::sqrt(last), i, steps);
        product *= 1 - root * root;
        const auto alpha = static_cast<float>(product);
        const double from = rounding == TableRounding::alphas ? double(alpha) : product;
        table.add(alpha, static_cast<float>(std::sqrt((1 - from) / from)));
    }
    return table;
}

SigmaTable SigmaTable::zero_terminal_snr() {
    constexpr float kLast = 4.8973451890853435e-08f;
    const SigmaTable whole = scaled_linear(0.00085, 0.012, 1000, TableRounding::sigmas);
    // In float32 from the levels on, as the reference: what is subtracted cancels, and its rounding shows in the
    // result.
    std::vector<float> roots;
    for (const float sigma : whole.sigmas_) roots.push_back(std::sqrt(1.0f / (sigma * sigma + 1.0f)));
    const float last = roots.back(), stretch = roots.front() / (roots.front() - last);
    SigmaTable table;
    for (std::size_t i = 0; i < roots.size(); ++i) {
        const float root = (roots[i] - last) * stretch;
        const float alpha = i + 1 < roots.size() ? root * root : kLast;
        table.add(alpha, std::sqrt((1 - alpha) / alpha));
    }
    return table;
}

double SigmaTable::sigma_to_t(double sigma, TimestepRounding rounding) const {
    const double log_sigma = exact::log(sigma);
    if (!(log_sigma > log_sigmas_.front())) return 0;
    if (log_sigma >= log_sigmas_.back()) return size() - 1;
    const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), log_sigma);
    const double low = *(above - 1), high = *above, t = static_cast<double>(above - log_sigmas_.begin() - 1);
    if (rounding == TimestepRounding::nearest) return log_sigma - low <= high - log_sigma ? t : t + 1;
    return t + (log_sigma - low) / (high - low);
}

double SigmaTable::t_to_sigma(double t) const {
    const double clamped = std::clamp(t, 0.0, double(size() - 1));
    const auto low = static_cast<std::size_t>(clamped), high = std::min<std::size_t>(low + 1, size() - 1);
    const double weight = clamped - static_cast<double>(low);
    return exact::exp((1 - weight) * log_sigmas_[low] + weight * log_sigmas_[high]);
}

}  // namespace pumice
