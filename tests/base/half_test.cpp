#include "base/half.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "catch.hpp"

namespace {

using namespace pumice;

/// By the definition of the format, with the C library.
double f16_reference(std::uint16_t half) {
    const int exponent = (half >> 10) & 0x1F, mantissa = half & 0x3FF;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31) return mantissa ? std::nan("") : sign * HUGE_VAL;
    if (exponent == 0) return sign * std::ldexp(mantissa, -24);
    return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double bf16_reference(std::uint16_t value) {
    const int exponent = (value >> 7) & 0xFF, mantissa = value & 0x7F;
    const double sign = value & 0x8000 ? -1 : 1;
    if (exponent == 255) return mantissa ? std::nan("") : sign * HUGE_VAL;
    if (exponent == 0) return sign * std::ldexp(mantissa, -133);
    return sign * std::ldexp(128 + mantissa, exponent - 134);
}

/// Counts the finite values `low` of one sign where a number halfway to the next one does not go to the even of the
/// two, or one just beside halfway not to its neighbour. 0x7c00 / 0x7f80 stand where the next value would overflow.
template <class ToFloat, class FromFloat>
int wrong_roundings(std::uint16_t infinity, ToFloat to_float, FromFloat from_float) {
    int wrong = 0;
    for (std::uint32_t sign : {0u, 0x8000u}) {
        for (std::uint32_t low = 0; low < infinity; ++low) {
            const auto a = static_cast<std::uint16_t>(low | sign), b = static_cast<std::uint16_t>((low + 1) | sign);
            const double below = to_float(a);
            const double step = low + 1 < infinity ? to_float(b) - below
                                                   : below - to_float(static_cast<std::uint16_t>((low - 1) | sign));
            const float middle = static_cast<float>(below + step / 2);
            const float inner = std::nextafter(middle, 0.0f),
                        outer = std::nextafter(middle, sign ? -HUGE_VALF : HUGE_VALF);
            wrong += from_float(middle) != (low & 1 ? b : a);
            wrong += from_float(inner) != a;
            wrong += from_float(outer) != b;
        }
    }
    return wrong;
}

}  // namespace

TEST_CASE("every half converts to float exactly and back to itself") {
    int wrong = 0;
    for (std::uint32_t i = 0; i < 65536; ++i) {
        const auto half = static_cast<std::uint16_t>(i);
        const float value = f16_to_f32(half);
        const double expected = f16_reference(half);
        if (std::isnan(expected)) {
            wrong += !std::isnan(value);
            wrong += f32_to_f16(value) != (half | 0x200);  // quiet, sign and payload kept
        } else {
            wrong += !(value == expected && std::signbit(value) == std::signbit(expected));
            wrong += f32_to_f16(value) != half;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("every bfloat16 converts to float exactly and back to itself") {
    int wrong = 0;
    for (std::uint32_t i = 0; i < 65536; ++i) {
        const auto bf16 = static_cast<std::uint16_t>(i);
        const float value = bf16_to_f32(bf16);
        const double expected = bf16_reference(bf16);
        if (std::isnan(expected)) {
            wrong += !std::isnan(value);
            wrong += f32_to_bf16(value) != (bf16 | 0x40);
        } else {
            wrong += !(value == expected && std::signbit(value) == std::signbit(expected));
            wrong += f32_to_bf16(value) != bf16;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("floats round to the nearest half and bfloat16, ties to even") {
    CHECK(wrong_roundings(0x7C00, f16_to_f32, f32_to_f16) == 0);
    // The smallest bfloat16 are float's own subnormals, whose halves are exact too.
    CHECK(wrong_roundings(0x7F80, bf16_to_f32, f32_to_bf16) == 0);
}

TEST_CASE("floats beyond a half's range") {
    CHECK(f32_to_f16(65504.0f) == 0x7BFF);
    CHECK(f32_to_f16(65519.996f) == 0x7BFF);
    CHECK(f32_to_f16(65520.0f) == 0x7C00);
    CHECK(f32_to_f16(-1e30f) == 0xFC00);
    CHECK(f32_to_f16(std::numeric_limits<float>::infinity()) == 0x7C00);
    CHECK(f32_to_f16(0x1p-25f) == 0);
    CHECK(f32_to_f16(0x1.000002p-25f) == 1);
    CHECK(f32_to_f16(-0.0f) == 0x8000);
    CHECK(f32_to_f16(std::numeric_limits<float>::denorm_min()) == 0);
    CHECK(f32_to_bf16(std::numeric_limits<float>::max()) == 0x7F80);
    CHECK((f32_to_f16(std::nanf("")) & 0x7E00) == 0x7E00);
}

TEST_CASE("8-bit floats convert to float and back to themselves, and floats to the nearest of them") {
    const auto wrong = [](auto to_float, auto from_float, std::uint8_t most) {
        int count = 0;
        for (std::uint32_t i = 0; i < 256; ++i) {
            const auto code = static_cast<std::uint8_t>(i);
            const float value = to_float(code);
            if (std::isnan(value))
                count += !std::isnan(to_float(from_float(value)));
            else
                count += from_float(value) != code;
        }
        for (std::uint8_t code = 0; code < most; ++code) {
            const float low = to_float(code), high = to_float(static_cast<std::uint8_t>(code + 1));
            const float middle = (low + high) / 2;
            const std::uint8_t even = code % 2 == 0 ? code : static_cast<std::uint8_t>(code + 1);
            count += from_float(middle) != even;
            count += from_float(std::nextafter(middle, low)) != code;
            count += from_float(std::nextafter(middle, high)) != code + 1;
            count += from_float(-middle) != (even | 0x80);
        }
        return count;
    };
    CHECK(wrong(f8_e4m3_to_f32, f32_to_f8_e4m3, 0x7E) == 0);
    CHECK(wrong(f8_e5m2_to_f32, f32_to_f8_e5m2, 0x7B) == 0);
    CHECK(f32_to_f8_e4m3(464.0f) == 0x7E);
    CHECK(f32_to_f8_e4m3(464.1f) == 0x7F);
    CHECK(f32_to_f8_e4m3(-std::numeric_limits<float>::infinity()) == 0xFF);
    CHECK(f32_to_f8_e5m2(61440.0f) == 0x7C);
    CHECK(f32_to_f8_e5m2(61439.0f) == 0x7B);
    CHECK(f32_to_f8_e5m2(std::numeric_limits<float>::denorm_min()) == 0);
}
