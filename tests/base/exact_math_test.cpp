#include "base/exact_math.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

#include "catch.hpp"

namespace {

using namespace pumice;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A small generator of the test's own, so that the points are the same everywhere.
struct Points {
    std::uint64_t state = 0x9E3779B97F4A7C15ull;
    double uniform(double low, double high) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return low + (high - low) * (static_cast<double>(state >> 11) * 0x1p-53);
    }
};

/// |got - want| in units in the last place of `want`.
double ulps(double got, long double want) {
    const double rounded = static_cast<double>(want);
    if (std::isnan(got) || std::isnan(rounded)) return std::isnan(got) && std::isnan(rounded) ? 0 : 1e300;
    if (std::isinf(got) || std::isinf(rounded)) return got == rounded ? 0 : 1e300;
    int exponent = 0;
    std::frexp(rounded, &exponent);
    const long double unit = std::ldexp(1.0L, std::max(exponent - 53, -1074));
    return static_cast<double>(std::fabs(static_cast<long double>(got) - want) / unit);
}

double worst(const std::function<double(double)>& f, const std::function<long double(long double)>& reference,
             double low, double high, int count = 40000) {
    Points points;
    double most = 0;
    for (int i = 0; i < count; ++i) {
        const double x = points.uniform(low, high);
        most = std::max(most, ulps(f(x), reference(x)));
    }
    return most;
}

long double exp_l(long double x) {
    return std::exp(x);
}
long double log_l(long double x) {
    return std::log(x);
}

}  // namespace

// The reference is the C library in long double, which has 11 bits more on x86; where long double is double, its own
// rounding adds up to one unit.
constexpr double kReference = std::numeric_limits<long double>::digits > 53 ? 0.0 : 1.0;

TEST_CASE("exp, expm1 and exp2 are right to a unit in the last place") {
    CHECK(worst(exact::exp, exp_l, -745, 709.7) <= 1 + kReference);
    CHECK(worst(exact::exp, exp_l, -1, 1) <= 0.75 + kReference);
    CHECK(worst(
              exact::expm1, [](long double x) { return std::expm1(x); }, -2, 2) <= 1 + kReference);
    CHECK(worst(
              exact::expm1, [](long double x) { return std::expm1(x); }, -1e-3, 1e-3) <= 1 + kReference);
    CHECK(worst(
              exact::expm1, [](long double x) { return std::expm1(x); }, -50, 709) <= 1 + kReference);
    CHECK(worst(
              exact::exp2, [](long double x) { return std::exp2(x); }, -1074, 1023.9) <= 1 + kReference);
    CHECK(exact::exp(0) == 1);
    CHECK(exact::exp(710) == kInfinity);
    CHECK(exact::exp(-kInfinity) == 0);
    CHECK(exact::exp(kInfinity) == kInfinity);
    CHECK(exact::exp(-746) == 0);
    CHECK(exact::expm1(-kInfinity) == -1);
    CHECK(exact::expm1(kInfinity) == kInfinity);
    CHECK(std::isnan(exact::exp(std::nan(""))));
    for (int n = -1074; n < 1024; ++n) CHECK(exact::exp2(n) == std::ldexp(1.0, n));
    CHECK(exact::exp2(1024) == kInfinity);
    CHECK(exact::exp2(-1076) == 0);
}

TEST_CASE("log and log2 are right to a unit in the last place") {
    CHECK(worst(exact::log, log_l, 0, 10) <= 1 + kReference);
    CHECK(worst(exact::log, log_l, 0.9, 1.1) <= 1 + kReference);
    CHECK(worst(exact::log, log_l, 0, 1e300) <= 1 + kReference);
    CHECK(worst(exact::log, log_l, 0, 1e-310) <= 1 + kReference);
    const auto log2_l = [](long double x) { return std::log2(x); };
    CHECK(worst(exact::log2, log2_l, 0, 100) <= 1 + kReference);
    CHECK(worst(exact::log2, log2_l, 0.99, 1.01) <= 1 + kReference);
    for (int n = -1074; n < 1024; ++n) CHECK(exact::log2(std::ldexp(1.0, n)) == n);
    CHECK(exact::log(1) == 0);
    CHECK(exact::log(0) == -kInfinity);
    CHECK(exact::log(kInfinity) == kInfinity);
    CHECK(std::isnan(exact::log(-1)));
    CHECK(std::isnan(exact::log2(-1)));
}

TEST_CASE("pow is right to a unit in the last place") {
    Points points;
    double most = 0;
    for (int i = 0; i < 100000; ++i) {
        const double y = points.uniform(-40, 40);
        const double x = exact::exp(points.uniform(-600, 600) / std::max(1.0, std::fabs(y)));
        most =
            std::max(most, ulps(exact::pow(x, y), std::pow(static_cast<long double>(x), static_cast<long double>(y))));
    }
    CHECK(most <= 1.1 + kReference);
    CHECK(worst([](double x) { return exact::pow(x, 1.0 / 7); },
                [](long double x) { return std::pow(x, 1.0L * (1.0 / 7)); }, 0.01, 20) <= 1 + kReference);
    for (double x : {0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, kInfinity, -kInfinity}) {
        for (double y : {0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5, -0.5, 1e300, -1e300, kInfinity, -kInfinity}) {
            INFO(x << " to the power " << y);
            CHECK(ulps(exact::pow(x, y), std::pow(x, y)) <= 1);
            CHECK(std::signbit(exact::pow(x, y)) ==
                  (std::isnan(std::pow(x, y)) ? std::signbit(exact::pow(x, y)) : std::signbit(std::pow(x, y))));
        }
    }
}

TEST_CASE("sin, cos and acos are right to a unit in the last place") {
    const auto sin_l = [](long double x) { return std::sin(x); };
    const auto cos_l = [](long double x) { return std::cos(x); };
    for (double limit : {1.0, 7.0, 1000.0, 1e5, 1e6}) {
        INFO("up to " << limit);
        CHECK(worst(exact::sin, sin_l, -limit, limit) <= 1 + kReference);
        CHECK(worst(exact::cos, cos_l, -limit, limit) <= 1 + kReference);
    }
    // Next to the zeros, where the range reduction has to cancel most of the argument. The C library's own long double
    // sine is exact there (it reduces with a pi of more bits).
    for (int k = 1; k < 60000; k += 7) {
        const double x = k * 1.5707963267948966;
        CHECK(ulps(exact::sin(x), std::sin(static_cast<long double>(x))) <= 1 + kReference);
        CHECK(ulps(exact::cos(x), std::cos(static_cast<long double>(x))) <= 1 + kReference);
    }
    CHECK(exact::sin(0) == 0);
    CHECK(exact::cos(0) == 1);
    CHECK(std::isnan(exact::sin(kInfinity)));
    CHECK(std::isnan(exact::cos(1.1e6)));
    CHECK(worst(
              exact::acos, [](long double x) { return std::acos(x); }, -1, 1) <= 2 + kReference);
    CHECK(worst(
              exact::acos, [](long double x) { return std::acos(x); }, 0.999, 1) <= 2 + kReference);
    CHECK(exact::acos(1) == 0);
    CHECK(exact::acos(-1) == 3.141592653589793);
    CHECK(std::isnan(exact::acos(1.1)));
}

TEST_CASE("the bits of the exact functions never change") {
    // A change of any of these numbers changes pictures made with --precision exact.
    std::uint64_t hash = 1469598103934665603ull;
    const auto mix = [&hash](double value) { hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 1099511628211ull; };
    Points points;
    for (int i = 0; i < 1000; ++i) {
        const double x = points.uniform(-30, 30), y = points.uniform(0.001, 100);
        for (double value : {exact::exp(x), exact::exp2(x), exact::expm1(x), exact::log(y), exact::log2(y),
                             exact::pow(y, x), exact::sin(x), exact::cos(x), exact::acos(x / 30)})
            mix(value);
    }
    CHECK(hash == 0x15b0f3a8545f931full);
}
