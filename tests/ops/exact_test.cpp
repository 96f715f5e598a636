#include "catch.hpp"
#include "ops/exact_reference.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

using pumice::ops::ExactFunctions;

namespace {

/// Largest error over every `step`th float between the two, in units of the last place or absolute.
struct Errors {
    double ulp = 0, absolute = 0;
    float at = 0;
};
template <class F>
Errors compare(const F& f, const std::function<double(double)>& truth, float from, float to) {
    Errors worst;
    const std::uint32_t step = 251;
    const auto scan = [&](float low, float high) {  // both positive
        const bool negative = std::signbit(low);
        const auto a = std::bit_cast<std::uint32_t>(std::fabs(low)), b = std::bit_cast<std::uint32_t>(std::fabs(high));
        for (std::uint64_t bits = a; bits <= b; bits += step) {
            float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
            if (negative) x = -x;
            const double want = truth(double(x));
            const float got = f(x);
            if (!std::isfinite(got)) {
                worst = {1e30, 1e30, x};
                return;
            }
            const double error = std::fabs(double(got) - want);
            const auto near_want = static_cast<float>(std::fabs(want));
            const double ulp = double(std::nextafter(near_want, std::numeric_limits<float>::infinity())) - near_want;
            worst.absolute = std::max(worst.absolute, error);
            if (error / ulp > worst.ulp) {
                worst.ulp = error / ulp;
                worst.at = x;
            }
        }
    };
    const float tiny = std::numeric_limits<float>::min();
    if (from < 0) scan(to < 0 ? to : -tiny, from);
    if (to > 0) scan(from > 0 ? from : tiny, to);
    return worst;
}

}  // namespace

TEST_CASE("exact functions are accurate over their documented ranges", "[exact]") {
#define EXACT(name) [](float x) { return ExactFunctions{}.exact_##name(x); }
    const auto check_ulp = [](const char* name, Errors e, double limit) {
        INFO(name << ": " << e.ulp << " ulp at " << e.at);
        CHECK(e.ulp < limit);
    };
    const auto check_absolute = [](const char* name, Errors e, double limit) {
        INFO(name << ": " << e.absolute);
        CHECK(e.absolute < limit);
    };
    const float big = std::ldexp(1.0f, 125), small = std::ldexp(1.0f, -125);
    check_ulp("recip",
              compare(
                  EXACT(recip), [](double x) { return 1 / x; }, small, big),
              1.5);
    check_ulp("recip",
              compare(
                  EXACT(recip), [](double x) { return 1 / x; }, -big, -small),
              1.5);
    const float normal = std::numeric_limits<float>::min();
    check_ulp("rsqrt",
              compare(
                  EXACT(rsqrt), [](double x) { return 1 / std::sqrt(x); }, normal, 3e38f),
              2);
    check_ulp("sqrt",
              compare(
                  EXACT(sqrt), [](double x) { return std::sqrt(x); }, normal, 3e38f),
              1);
    check_ulp("exp",
              compare(
                  EXACT(exp), [](double x) { return std::exp(x); }, -87, 88),
              1.5);
    check_ulp("log",
              compare(
                  EXACT(log), [](double x) { return std::log(x); }, normal, 0.5f),
              2);
    check_ulp("log",
              compare(
                  EXACT(log), [](double x) { return std::log(x); }, 2.0f, 3e38f),
              2);
    check_absolute("log",
                   compare(
                       EXACT(log), [](double x) { return std::log(x); }, 0.5f, 2.0f),
                   1e-7);
    check_absolute("sin",
                   compare(
                       EXACT(sin), [](double x) { return std::sin(x); }, -8191, 8191),
                   2e-7);
    check_absolute("cos",
                   compare(
                       EXACT(cos), [](double x) { return std::cos(x); }, -8191, 8191),
                   2e-7);
    check_absolute("erf",
                   compare(
                       EXACT(erf), [](double x) { return std::erf(x); }, -3e38f, 3e38f),
                   1.5e-7);
    check_ulp("sigmoid",
              compare(
                  EXACT(sigmoid), [](double x) { return 1 / (1 + std::exp(-x)); }, -86, 3e38f),
              4);
    const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
    check_ulp("silu", compare(EXACT(silu), silu, -80, 3e38f), 4);
    check_absolute("silu", compare(EXACT(silu), silu, -3e38f, 1), 2e-7);
    const auto gelu = [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); };
    check_absolute("gelu", compare(EXACT(gelu), gelu, -10, 1), 2e-7);
    check_absolute("gelu", compare(EXACT(gelu), gelu, 1, 10), 1.2e-6);
    const auto quick = [](double x) { return x / (1 + std::exp(-1.702 * x)); };
    check_absolute("quick_gelu", compare(EXACT(quick_gelu), quick, -50, 4), 1e-6);
#undef EXACT
}

TEST_CASE("exact functions behave at the ends", "[exact]") {
    ExactFunctions f;
    const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(f.exact_exp(-88) == 0);
    CHECK(f.exact_exp(-infinity) == 0);
    CHECK(f.exact_exp(0) == 1);
    CHECK(f.exact_exp(-0.0f) == 1);
    CHECK(f.exact_exp(1000) == f.exact_exp(88));
    CHECK(std::isfinite(f.exact_exp(infinity)));
    CHECK(f.exact_sqrt(0) == 0);
    CHECK(f.exact_recip(1) == 1);
    CHECK(f.exact_recip(-4) == -0.25f);
    CHECK(f.exact_log(1) == 0);
    CHECK(f.exact_sin(0) == 0);
    CHECK(f.exact_cos(0) == 1);
    CHECK(f.exact_erf(0) == 0);
    CHECK(f.exact_erf(10) == Approx(1).epsilon(2e-7));
    CHECK(f.exact_silu(-1000) == 0);
    CHECK(f.exact_silu(1000) == 1000);
    CHECK(f.exact_gelu(-1000) == Approx(0).margin(2e-4));
    for (const float y : {f.exact_exp(nan), f.exact_recip(nan), f.exact_rsqrt(nan), f.exact_sqrt(nan), f.exact_sin(nan),
                          f.exact_erf(nan), f.exact_silu(nan), f.exact_gelu(nan), f.exact_quick_gelu(nan)})
        CHECK(std::isnan(y));
}
