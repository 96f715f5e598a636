// IEEE 754 half precision and bfloat16 as bits in a uint16_t, converted with integer operations alone: the same result
// on every host, whatever its floating-point environment.
#pragma once

#include <bit>
#include <cstdint>

namespace pumice {

/// Exact; a NaN keeps its sign and payload and becomes quiet.
constexpr float f16_to_f32(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t(half & 0x8000u) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1Fu;
    std::uint32_t mantissa = half & 0x3FFu;
    if (exponent == 0x1F)
        return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13) | (mantissa != 0 ? 0x400000u : 0u));
    if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    if (mantissa == 0) return std::bit_cast<float>(sign);
    // Subnormal: 2^-24 * mantissa. Shift the leading one into place.
    const int shift = std::countl_zero(mantissa) - 21;
    mantissa = (mantissa << shift) & 0x3FFu;
    return std::bit_cast<float>(sign | ((113u - std::uint32_t(shift)) << 23) | (mantissa << 13));
}

/// Rounds to nearest, ties to even; beyond 65519.99… becomes infinite; a NaN stays a (quiet) NaN.
constexpr std::uint16_t f32_to_f16(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t size = bits & 0x7FFFFFFFu;
    if (size > 0x7F800000u) return std::uint16_t(sign | 0x7E00u | ((size >> 13) & 0x3FFu));
    if (size >= 0x47800000u) return std::uint16_t(sign | 0x7C00u);  // 65536 and more
    if (size < 0x33000000u) return std::uint16_t(sign);             // less than half of the smallest subnormal
    const std::uint32_t exponent = size >> 23;
    // The mantissa with its leading one, to be shifted right by `drop` bits and rounded.
    const std::uint32_t mantissa = exponent >= 113 ? size - (112u << 23) : (size & 0x7FFFFFu) | 0x800000u;
    const std::uint32_t drop = exponent >= 113 ? 13 : 126 - exponent;
    const std::uint32_t kept = mantissa >> drop;
    const std::uint32_t rest = mantissa & ((1u << drop) - 1), half = 1u << (drop - 1);
    const std::uint32_t up = rest > half || (rest == half && (kept & 1u)) ? 1 : 0;
    return std::uint16_t(sign | (kept + up));  // a carry runs into the exponent, to infinity if need be
}

/// Exact.
constexpr float bf16_to_f32(std::uint16_t value) {
    return std::bit_cast<float>(std::uint32_t(value) << 16);
}

/// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
constexpr std::uint16_t f32_to_bf16(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return std::uint16_t((bits >> 16) | 0x40u);
    return std::uint16_t((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// E4M3 without infinities (OCP 8-bit floating point, "E4M3"; PyTorch's float8_e4m3fn): bias 7, up to 448. Exact.
constexpr float f8_e4m3_to_f32(std::uint8_t value) {
    const std::uint32_t sign = std::uint32_t(value & 0x80u) << 24;
    const std::uint32_t size = value & 0x7Fu;
    if (size == 0x7F) return std::bit_cast<float>(sign | 0x7FC00000u);
    if (size >= 8) return std::bit_cast<float>(sign | ((size << 20) + (120u << 23)));
    if (size == 0) return std::bit_cast<float>(sign);
    // Subnormal: 2^-9 * size. Shift the leading one into place.
    const int shift = std::countl_zero(size) - 28;
    return std::bit_cast<float>(sign | ((121u - std::uint32_t(shift)) << 23) | (((size << shift) & 7u) << 20));
}

/// E5M2: the upper half of an IEEE half. Exact.
constexpr float f8_e5m2_to_f32(std::uint8_t value) {
    return f16_to_f32(static_cast<std::uint16_t>(value << 8));
}

namespace detail {

/// A float of 8 bits with `mantissa` bits after the leading one: rounded to nearest, ties to even. What lies beyond
/// `most`, the largest finite one, becomes `beyond`.
constexpr std::uint8_t f32_to_f8(float value, std::uint32_t mantissa, std::uint32_t bias, std::uint32_t most,
                                 std::uint8_t beyond) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80u);
    const std::uint32_t size = bits & 0x7FFFFFFFu, exponent = size >> 23;
    if (size > 0x7F800000u) return static_cast<std::uint8_t>(sign | 0x7Fu);
    const std::uint32_t rebias = 127 - bias;  // exponents up to this are subnormal here
    const bool normal = exponent > rebias;
    const std::uint32_t drop = 23 - mantissa + (normal ? 0 : rebias + 1 - exponent);
    if (drop > 24) return sign;  // less than half of the smallest
    const std::uint32_t significand = normal ? size - (rebias << 23) : (size & 0x7FFFFFu) | 0x800000u;
    const std::uint32_t kept = significand >> drop;
    const std::uint32_t rest = significand & ((1u << drop) - 1), half = 1u << (drop - 1);
    const std::uint32_t rounded = kept + (rest > half || (rest == half && (kept & 1u)) ? 1 : 0);
    return static_cast<std::uint8_t>(sign | (rounded > most ? beyond : rounded));
}

}  // namespace detail

/// Rounds to nearest, ties to even; beyond 464 becomes NaN, since there is no infinity.
constexpr std::uint8_t f32_to_f8_e4m3(float value) {
    return detail::f32_to_f8(value, 3, 7, 0x7E, 0x7F);
}

/// Rounds to nearest, ties to even; beyond 61440 becomes infinite.
constexpr std::uint8_t f32_to_f8_e5m2(float value) {
    return detail::f32_to_f8(value, 2, 15, 0x7B, 0x7C);
}

}  // namespace pumice
