#include "bench/engine/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace pumice::bench {
namespace {
constexpr double kInfinite = std::numeric_limits<double>::infinity();
}

double psnr(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
    if (a.size() != b.size() || a.empty()) return 0;
    double square = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double difference = double(a[i]) - double(b[i]);
        square += difference * difference;
    }
    return square == 0 ? kInfinite : 10 * std::log10(255.0 * 255.0 * double(a.size()) / square);
}

double relative_error(std::span<const float> got, std::span<const float> reference) {
    if (got.size() != reference.size() || got.empty()) return kInfinite;
    double difference = 0, whole = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double d = double(got[i]) - double(reference[i]);
        difference += d * d;
        whole += double(reference[i]) * double(reference[i]);
    }
    if (!std::isfinite(difference) || !std::isfinite(whole)) return kInfinite;
    if (difference == 0) return 0;
    return whole > 0 ? std::sqrt(difference / whole) : kInfinite;
}

std::uint64_t count_not_finite(std::span<const float> values) {
    return static_cast<std::uint64_t>(
        std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); }));
}

Limits limits(Precision precision) {
    switch (precision) {
        case Precision::fp16:
            return {30, 0.02};
        case Precision::fp32:
            return {50, 1e-3};
        case Precision::exact:
            return {kInfinite, 0};
    }
    return {};
}

std::vector<std::string> Quality::failed() const {
    std::vector<std::string> failures;
    if (!repeats_equal) failures.push_back("the same request gave different results");
    if (not_finite > 0) failures.push_back(fmt::format("{} values are NaN or infinite", not_finite));
    for (const auto& [stage, error] : stage_errors)
        if (!(error <= limits.stage_error))
            failures.push_back(fmt::format("{}: relative error {:.2e} is above {:.2e}", stage, error, limits.stage_error));
    if (psnr && !(*psnr >= limits.psnr))
        failures.push_back(fmt::format("PSNR {:.1f} dB is below {:.1f} dB", *psnr, limits.psnr));
    return failures;
}

}  // namespace pumice::bench
