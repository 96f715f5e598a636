#include "base/exact_math.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace pumice::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Constants cut in pieces: the leading ones have trailing zero bits, so that products with small integers are exact.
constexpr double kLn2Head = 0x1.62e42fee00000p-1;  // 32 bits of ln 2
constexpr double kLn2Tail = 0x1.a39ef35793c76p-33;
constexpr double kLn2Head26 = 0x1.62e42f8p-1;  // 26 bits of ln 2
constexpr double kLn2Tail26 = 0x1.be8e7bcd5e4f2p-27;
constexpr double kLog2e = 0x1.71547652b82fep+0;
constexpr double kLog2eTail = 0x1.777d0ffda0d24p-56;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
constexpr std::array<double, 4> kHalfPi{0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69,  // 33 bits each
                                        0x1.b839a252049c1p-104};

/// An unevaluated sum, |tail| at most half a unit in the last place of head. (T. J. Dekker, "A floating-point technique
/// for extending the available precision", 1971.)
struct Pair {
    double head, tail;
};

Pair two_sum(double a, double b) {
    const double s = a + b;
    const double v = s - a;
    return {s, (a - (s - v)) + (b - v)};
}

/// The leading 26 bits, so that the product of two such is exact.
double upper_half(double x) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & ~0x7FFFFFFull);
}

Pair two_product(double a, double b) {
    const double p = a * b;
    const double ah = upper_half(a), al = a - ah, bh = upper_half(b), bl = b - bh;
    return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

Pair add(Pair a, Pair b) {
    const Pair s = two_sum(a.head, b.head);
    const double tail = s.tail + (a.tail + b.tail);
    const double head = s.head + tail;
    return {head, (s.head - head) + tail};
}

Pair multiply(Pair a, Pair b) {
    const Pair p = two_product(a.head, b.head);
    const double tail = p.tail + (a.head * b.tail + a.tail * b.head);
    const double head = p.head + tail;
    return {head, (p.head - head) + tail};
}

/// coefficients[0] + x * (coefficients[1] + x * (…)).
double polynomial(double x, std::span<const double> coefficients) {
    double sum = 0;
    for (std::size_t i = coefficients.size(); i-- > 0;) sum = sum * x + coefficients[i];
    return sum;
}

/// The integer next to x, |x| < 2^62 (ties away from zero: any choice will do here).
std::int64_t nearest(double x) {
    return static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5);
}

/// 2^n for -1022 <= n <= 1023.
double power_of_two(std::int64_t n) {
    return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

/// x * 2^n, rounded once at most: two factors keep each of them normal.
double scale(double x, std::int64_t n) {
    if (n > 1023) return n > 2046 ? x * kInfinity : x * power_of_two(1023) * power_of_two(n - 1023);
    if (n < -1022) return n < -2044 ? 0.0 : x * power_of_two(n + 969) * power_of_two(-969);
    return x * power_of_two(n);
}

// 1/2!, 1/3!, … of the Taylor series of exp; |r| <= ln(2)/2 needs 1/13! for 2^-57.
constexpr std::array<double, 12> kExp{1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                      1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                      1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};

/// exp(r) - 1 of a small r, as a pair whose tail is only nearly right.
Pair expm1_small(Pair r) {
    const double square = r.head * r.head;
    const double rest = square * polynomial(r.head, kExp) + (r.tail + r.head * r.tail);
    const double head = r.head + rest;
    return {head, (r.head - head) + rest};
}

struct Reduced {
    Pair r;          ///< |r| <= ln(2)/2 and a little
    std::int64_t n;  ///< exp(x) = exp(r) * 2^n
};

Reduced reduce_exp(double head, double tail) {
    const std::int64_t n = nearest(head * kLog2e);
    const double k = static_cast<double>(n);
    const Pair r = two_sum(head - k * kLn2Head, -(k * kLn2Tail));  // the first product and difference are exact
    const double rest = r.tail + tail;
    const double sum = r.head + rest;
    return {{sum, (r.head - sum) + rest}, n};
}

/// exp(head + tail), the tail small beside head.
double exp_pair(double head, double tail) {
    if (head > 709.8) return kInfinity;
    if (head < -745.2) return 0;
    const Reduced reduced = reduce_exp(head, tail);
    const Pair e = expm1_small(reduced.r);
    const Pair whole = two_sum(1.0, e.head);
    return scale(whole.head + (whole.tail + e.tail), reduced.n);
}

/// x = m * 2^n with m in [sqrt(1/2), sqrt(2)), x positive and finite.
double split(double x, std::int64_t& n) {
    n = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        n = -54;
    }
    std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
    constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDull;
    const std::int64_t shift = static_cast<std::int64_t>(bits - kSqrtHalf) >> 52;
    n += shift;
    bits -= static_cast<std::uint64_t>(shift) << 52;
    return std::bit_cast<double>(bits);
}

// log(m) = 2 atanh(s) = 2s + s (2/3 z + 2/5 z^2 + …), s = (m-1)/(m+1), z = s^2 <= 0.0295: eleven terms for 2^-60.
constexpr std::array<double, 11> kAtanh{2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11, 2.0 / 13,
                                        2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23};

/// log(m) to about 2^-68 of itself: the first terms of the series in pairs, the rest in double.
Pair log_pair(double m) {
    constexpr std::array<Pair, 4> kHeads{{{0x1.5555555555555p-1, 0x1.5555555555555p-55},
                                          {0x1.999999999999ap-2, -0x1.999999999999ap-56},
                                          {0x1.2492492492492p-2, 0x1.2492492492492p-56},
                                          {0x1.c71c71c71c71cp-3, 0x1.c71c71c71c71cp-57}}};
    constexpr std::array<double, 9> kRest{2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19,
                                          2.0 / 21, 2.0 / 23, 2.0 / 25, 2.0 / 27};
    const double f = m - 1.0;
    const Pair t = two_sum(m, 1.0);
    const double quotient = f / t.head;
    const Pair p = two_product(quotient, t.head);
    const Pair s{quotient, (((f - p.head) - p.tail) - quotient * t.tail) / t.head};
    const Pair z = multiply(s, s);
    Pair sum{polynomial(z.head, kRest), 0};
    for (std::size_t i = kHeads.size(); i-- > 0;) sum = add(multiply(sum, z), kHeads[i]);
    return add({2 * s.head, 2 * s.tail}, multiply(s, multiply(z, sum)));
}

/// r = x - n pi/2, |r| <= pi/4 and a little; n modulo 4. |x| <= 1e6, so that n has 20 bits and its products with the
/// pieces of pi/2 are exact.
Pair reduce_pi(double x, unsigned& quadrant) {
    const std::int64_t n = nearest(x * kTwoOverPi);
    quadrant = static_cast<unsigned>(n & 3);
    const double k = static_cast<double>(n);
    Pair r{x - k * kHalfPi[0], 0};
    for (std::size_t i = 1; i < kHalfPi.size(); ++i) r = add(r, {-(k * kHalfPi[i]), 0});
    return r;
}

double sin_small(Pair r) {
    constexpr std::array<double, 8> kSin{-1.0 / 6,
                                         1.0 / 120,
                                         -1.0 / 5040,
                                         1.0 / 362880,
                                         -1.0 / 39916800.0,
                                         1.0 / 6227020800.0,
                                         -1.0 / 1307674368000.0,
                                         1.0 / 355687428096000.0};
    const double z = r.head * r.head;
    return r.head + (r.head * z * polynomial(z, kSin) + r.tail * (1 - 0.5 * z));
}

double cos_small(Pair r) {
    constexpr std::array<double, 8> kCos{1.0 / 24,
                                         -1.0 / 720,
                                         1.0 / 40320,
                                         -1.0 / 3628800,
                                         1.0 / 479001600.0,
                                         -1.0 / 87178291200.0,
                                         1.0 / 20922789888000.0,
                                         -1.0 / 6402373705728000.0};
    const double z = r.head * r.head;
    const double half = 0.5 * z;
    const double w = 1.0 - half;
    return w + (((1.0 - w) - half) + (z * z * polynomial(z, kCos) - r.head * r.tail));
}

/// atan of 0 <= x <= 1: x is brought near a multiple of 1/8, whose arctangent is tabled.
double atan_unit(double x) {
    constexpr std::array<double, 9> kTable{0x0p+0,
                                           0x1.fd5ba9aac2f6ep-4,
                                           0x1.f5b75f92c80ddp-3,
                                           0x1.6f61941e4def1p-2,
                                           0x1.dac670561bb4fp-2,
                                           0x1.1e00babdefeb4p-1,
                                           0x1.4978fa3269ee1p-1,
                                           0x1.700a7c5784634p-1,
                                           0x1.921fb54442d18p-1};
    constexpr std::array<double, 7> kAtan{-1.0 / 3, 1.0 / 5, -1.0 / 7, 1.0 / 9, -1.0 / 11, 1.0 / 13, -1.0 / 15};
    const std::int64_t i = nearest(x * 8);
    const double c = static_cast<double>(i) / 8;
    const double t = (x - c) / (1 + x * c);
    const double z = t * t;
    return kTable[static_cast<std::size_t>(i)] + (t + t * z * polynomial(z, kAtan));
}

bool is_odd_integer(double y) {
    return std::fabs(y) < 0x1p53 && static_cast<double>(static_cast<std::int64_t>(y)) == y &&
           (static_cast<std::int64_t>(y) & 1);
}

bool is_integer(double y) {
    return std::fabs(y) >= 0x1p53 || static_cast<double>(static_cast<std::int64_t>(y)) == y;
}

/// pow for positive finite x other than 1 and finite y other than 0.
double pow_positive(double x, double y) {
    std::int64_t n = 0;
    const double m = split(x, n);
    const double k = static_cast<double>(n);
    const Pair whole = add({k * kLn2Head, 0}, multiply({k, 0}, {kLn2Tail, 0x1.cc01f97b57a08p-87}));
    const Pair logarithm = add(whole, log_pair(m));
    if (std::fabs(y) > 0x1p70) return (y > 0) == (logarithm.head > 0) ? kInfinity : 0.0;  // x is not 1
    const double rough = y * logarithm.head;
    if (rough > 710) return kInfinity;
    if (rough < -746) return 0;
    const Pair product = multiply({y, 0}, logarithm);
    return exp_pair(product.head, product.tail);
}

}  // namespace

double exp(double x) {
    if (std::isnan(x)) return x;
    return exp_pair(x, 0);
}

double expm1(double x) {
    if (std::isnan(x) || x == 0) return x;
    if (x > 709.8) return kInfinity;
    if (x < -40) return -1.0;
    const Reduced reduced = reduce_exp(x, 0);
    const Pair e = expm1_small(reduced.r);
    if (reduced.n == 0) return e.head + e.tail;
    if (reduced.n > 60) return exp_pair(x, 0);
    const double factor = power_of_two(reduced.n);
    const Pair whole = two_sum(factor - 1.0, factor * e.head);  // factor - 1 is exact but for n > 53, where 1 is lost
    return whole.head + (whole.tail + factor * e.tail);
}

double exp2(double x) {
    if (std::isnan(x)) return x;
    if (x >= 1024) return kInfinity;
    if (x < -1075) return 0;
    const std::int64_t n = nearest(x);
    const double f = x - static_cast<double>(n);
    const double upper = upper_half(f);
    const Pair r = two_sum(upper * kLn2Head26, (f - upper) * kLn2Head26 + f * kLn2Tail26);
    const Pair e = expm1_small(r);
    const Pair whole = two_sum(1.0, e.head);
    return scale(whole.head + (whole.tail + e.tail), n);
}

double log(double x) {
    if (std::isnan(x) || x < 0) return kNaN;
    if (x == 0) return -kInfinity;
    if (x == kInfinity) return x;
    std::int64_t n = 0;
    const double f = split(x, n) - 1.0;
    const double k = static_cast<double>(n);
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double half = 0.5 * f * f;
    // 2s = f - f^2/2 + s f^2/2: written so, the largest term f is exact.
    const double rest = half - (s * (half + z * polynomial(z, kAtanh)) + k * kLn2Tail);
    return k * kLn2Head - (rest - f);
}

double log2(double x) {
    if (std::isnan(x) || x < 0) return kNaN;
    if (x == 0) return -kInfinity;
    if (x == kInfinity) return x;
    std::int64_t n = 0;
    const double m = split(x, n);
    const Pair result = add({static_cast<double>(n), 0}, multiply(log_pair(m), {kLog2e, kLog2eTail}));
    return result.head + result.tail;
}

double pow(double x, double y) {
    if (y == 0 || x == 1) return 1;
    if (std::isnan(x) || std::isnan(y)) return kNaN;
    const double size = std::fabs(x);
    if (std::fabs(y) == kInfinity) {
        if (size == 1) return 1;
        return (size > 1) == (y > 0) ? kInfinity : 0.0;
    }
    const bool negative = std::signbit(x) && is_odd_integer(y);
    double magnitude = 0;
    if (size == 0 || size == kInfinity) {
        magnitude = (size == 0) == (y > 0) ? 0.0 : kInfinity;
    } else {
        if (x < 0 && !is_integer(y)) return kNaN;
        magnitude = size == 1 ? 1.0 : pow_positive(size, y);
    }
    return negative ? -magnitude : magnitude;
}

double sin(double x) {
    if (!(std::fabs(x) <= 1e6)) return kNaN;
    if (std::fabs(x) < 0x1p-27) return x;
    unsigned quadrant = 0;
    const Pair r = reduce_pi(x, quadrant);
    const double y = quadrant & 1 ? cos_small(r) : sin_small(r);
    return quadrant & 2 ? -y : y;
}

double cos(double x) {
    if (!(std::fabs(x) <= 1e6)) return kNaN;
    unsigned quadrant = 0;
    const Pair r = reduce_pi(x, quadrant);
    const double y = quadrant & 1 ? sin_small(r) : cos_small(r);
    return (quadrant + 1) & 2 ? -y : y;
}

double acos(double x) {
    if (!(std::fabs(x) <= 1)) return kNaN;
    constexpr double kPi = 0x1.921fb54442d18p+1;
    // acos(|x|) = 2 atan(sqrt((1-|x|) / (1+|x|))), Abramowitz and Stegun 4.3.22 turned round; the root is at most 1.
    const double size = std::fabs(x);
    const double angle = 2 * atan_unit(std::sqrt((1 - size) / (1 + size)));
    return x < 0 ? kPi - angle : angle;
}

}  // namespace pumice::exact
