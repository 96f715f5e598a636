// The stored outputs of the reference implementations that this folder's tests are held against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "catch.hpp"
#include "npy.hpp"

namespace pumice {

inline std::filesystem::path golden_path(const std::string& name) {
    return std::filesystem::path(PUMICE_TEST_DATA) / "goldens" / (name + ".npy");
}

template <class T = float>
Npy<T> golden(const std::string& name) {
    auto npy = read_npy<T>(golden_path(name));
    INFO((npy ? name : npy.error().message));
    REQUIRE(npy);
    return *std::move(npy);
}

/// The largest |got - want| / (absolute + relative * |want|); up to 1 is within tolerance. Infinite for other sizes and
/// for NaN.
template <class A, class B>
double worst_error(const A& got, const B& want, double absolute, double relative) {
    if (got.size() != want.size()) return HUGE_VAL;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
        const double error = std::fabs(g - w) / (absolute + relative * std::fabs(w));
        if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
    }
    return worst;
}

}  // namespace pumice
