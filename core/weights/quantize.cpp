// Blocks of ggml from floats: layouts as in quantized.cpp, where they are read.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "base/half.hpp"
#include "weights/quantized.hpp"

namespace pumice {
namespace {

using Values = std::span<const float>;

/// The bytes of a block, all 0 at first.
struct Block {
    std::byte* at;

    void add(std::size_t i, std::uint32_t bits) const { at[i] |= static_cast<std::byte>(bits & 255); }
    /// Puts a half there and gives the value that will be read.
    float half(std::size_t i, float value) const {
        const std::uint16_t bits = f32_to_f16(std::clamp(value, -65504.0f, 65504.0f));
        add(i, bits);
        add(i + 1, bits >> 8);
        return f16_to_f32(bits);
    }
    /// Element j of 32 in 16 bytes: the low nibbles, then the high ones.
    void nibble(std::size_t i, std::size_t j, std::uint32_t bits) const { add(i + j % 16, j < 16 ? bits : bits << 4); }
};

/// value / step, rounded, in [least, most]; 0 where there is no step.
int level(float value, float step, int least, int most) {
    if (step == 0) return std::clamp(0, least, most);
    const float q = std::nearbyint(value / step);
    return static_cast<int>(std::clamp(q, static_cast<float>(least), static_cast<float>(most)));
}

float largest(Values x) {
    return *std::max_element(x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
}

// ---- 32 elements ----

/// A scale alone: the largest value is the lowest of 2 * half levels.
void scaled(Values x, Block b, int half, std::size_t low_at, std::size_t high_at) {
    const float d = b.half(0, largest(x) / static_cast<float>(-half));
    for (std::size_t j = 0; j < 32; ++j) {
        const auto q = static_cast<std::uint32_t>(level(x[j], d, -half, half - 1) + half);
        b.nibble(low_at, j, q & 15);
        if (high_at) b.add(high_at + j / 8, (q >> 4) << (j % 8));
    }
}

/// A scale and a minimum.
void ranged(Values x, Block b, int most, std::size_t low_at, std::size_t high_at) {
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    const float d = b.half(0, (*high - *low) / static_cast<float>(most)), m = b.half(2, *low);
    for (std::size_t j = 0; j < 32; ++j) {
        const auto q = static_cast<std::uint32_t>(level(x[j] - m, d, 0, most));
        b.nibble(low_at, j, q & 15);
        if (high_at) b.add(high_at + j / 8, (q >> 4) << (j % 8));
    }
}

void q8_0(Values x, Block b) {
    const float d = b.half(0, std::abs(largest(x)) / 127);
    for (std::size_t j = 0; j < 32; ++j) b.add(2 + j, static_cast<std::uint32_t>(level(x[j], d, -127, 127)));
}

// ---- 256 elements in groups ----

/// The scale with which levels -half … half - 1 come nearest to the values: the best of some around the one that the
/// largest value asks for, each improved by least squares for the levels it gives.
float fitted_scale(Values x, int half) {
    const float peak = largest(x);
    if (peak == 0) return 0;
    float best = 0, least = std::numeric_limits<float>::infinity();
    for (int k = -8; k <= 8; ++k) {
        const float step = peak / -(static_cast<float>(half) + 0.1f * static_cast<float>(k));
        float xq = 0, qq = 0, xx = 0;
        for (const float v : x) {
            const auto q = static_cast<float>(level(v, step, -half, half - 1));
            xq += v * q;
            qq += q * q;
            xx += v * v;
        }
        const float error = qq > 0 ? xx - xq * xq / qq : xx;
        if (qq > 0 && error < least) {
            least = error;
            best = xq / qq;
        }
    }
    return best;
}

/// x = scale * q - min, with q from 0 to most and min not negative, as the blocks have it.
struct Range {
    float scale = 0, min = 0;
};

/// One round of least squares for scale and min, with the levels that the range before gives.
Range improved(Values x, const Range& before, int most) {
    float q1 = 0, q2 = 0, x1 = 0, xq = 0;
    const auto n = static_cast<float>(x.size());
    for (const float v : x) {
        const auto q = static_cast<float>(level(v + before.min, before.scale, 0, most));
        q1 += q;
        q2 += q * q;
        x1 += v;
        xq += v * q;
    }
    const float determinant = n * q2 - q1 * q1;
    if (determinant <= 0) return before;
    Range after{(n * xq - q1 * x1) / determinant, (q1 * xq - q2 * x1) / determinant};
    if (after.min < 0) after = {q2 > 0 ? xq / q2 : 0, 0};
    return after.scale > 0 ? after : before;
}

float squared_error(Values x, const Range& r, int most) {
    float sum = 0;
    for (const float v : x) {
        const float e = v - (r.scale * static_cast<float>(level(v + r.min, r.scale, 0, most)) - r.min);
        sum += e * e;
    }
    return sum;
}

Range fitted_range(Values x, int most) {
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    Range best{0, std::max(0.0f, -*low)};
    best.scale = std::max(0.0f, (*high + best.min) / static_cast<float>(most));
    if (best.scale == 0) return best;
    float least = squared_error(x, best, most);
    for (int k = -4; k <= 4; ++k) {
        Range r{(*high + best.min) / (static_cast<float>(most) + 0.15f * static_cast<float>(k)), std::max(0.0f, -*low)};
        for (int round = 0; round < 2; ++round) r = improved(x, r, most);
        if (const float error = squared_error(x, r, most); error < least) {
            least = error;
            best = r;
        }
    }
    return best;
}

template <std::size_t groups>
std::array<float, groups> fitted_scales(Values x, int half) {
    std::array<float, groups> scales;
    for (std::size_t s = 0; s < groups; ++s) scales[s] = fitted_scale(x.subspan(s * 256 / groups, 256 / groups), half);
    return scales;
}

/// Ranges whose scales and minima are whole multiples, up to `steps`, of two halves at `at`.
template <std::size_t groups>
struct Ranges {
    std::array<std::uint32_t, groups> scales{}, mins{};
    float d = 0, m = 0;

    Ranges(Values x, Block b, std::size_t at, int most, int steps) {
        std::array<Range, groups> fitted;
        float scale = 0, min = 0;
        for (std::size_t s = 0; s < groups; ++s) {
            fitted[s] = fitted_range(x.subspan(s * 256 / groups, 256 / groups), most);
            scale = std::max(scale, fitted[s].scale);
            min = std::max(min, fitted[s].min);
        }
        d = b.half(at, scale / static_cast<float>(steps));
        m = b.half(at + 2, min / static_cast<float>(steps));
        for (std::size_t s = 0; s < groups; ++s) {
            scales[s] = static_cast<std::uint32_t>(level(fitted[s].scale, d, 0, steps));
            mins[s] = static_cast<std::uint32_t>(level(fitted[s].min, m, 0, steps));
        }
    }
    std::uint32_t element(float value, std::size_t group, int most) const {
        const float step = d * static_cast<float>(scales[group]), min = m * static_cast<float>(mins[group]);
        return static_cast<std::uint32_t>(level(value + min, step, 0, most));
    }
};

void q2_k(Values x, Block b) {
    const Ranges<16> r(x, b, 80, 3, 15);
    for (std::size_t s = 0; s < 16; ++s) b.add(s, r.scales[s] | r.mins[s] << 4);
    for (std::size_t i = 0; i < 256; ++i)
        b.add(16 + i / 128 * 32 + i % 32, r.element(x[i], i / 16, 3) << (i % 128 / 32 * 2));
}

void q3_k(Values x, Block b) {
    const auto scales = fitted_scales<16>(x, 4);
    const float d = b.half(108, largest(scales) / -32);
    for (std::size_t s = 0; s < 16; ++s) {
        const int scale = level(scales[s], d, -32, 31);
        const auto bits = static_cast<std::uint32_t>(scale + 32);
        b.add(96 + s % 8, (bits & 15) << (s / 8 * 4));
        b.add(104 + s % 4, (bits >> 4) << (s / 4 * 2));
        for (std::size_t i = s * 16; i < s * 16 + 16; ++i) {
            const auto q = static_cast<std::uint32_t>(level(x[i], d * static_cast<float>(scale), -4, 3) + 4);
            b.add(32 + i / 128 * 32 + i % 32, (q & 3) << (i % 128 / 32 * 2));
            b.add(i % 32, (q >> 2) << (i / 32));
        }
    }
}

/// Scale and minimum of 8 groups, 6 bits each in 12 bytes from `at`.
void put_scales(const Ranges<8>& r, Block b, std::size_t at) {
    for (std::size_t s = 0; s < 4; ++s) {
        b.add(at + s, r.scales[s] | (r.scales[s + 4] >> 4) << 6);
        b.add(at + s + 4, r.mins[s] | (r.mins[s + 4] >> 4) << 6);
        b.add(at + s + 8, (r.scales[s + 4] & 15) | (r.mins[s + 4] & 15) << 4);
    }
}

void q4_k(Values x, Block b) {
    const Ranges<8> r(x, b, 0, 15, 63);
    put_scales(r, b, 4);
    for (std::size_t i = 0; i < 256; ++i)
        b.add(16 + i / 64 * 32 + i % 32, r.element(x[i], i / 32, 15) << (i % 64 / 32 * 4));
}

void q5_k(Values x, Block b) {
    const Ranges<8> r(x, b, 0, 31, 63);
    put_scales(r, b, 4);
    for (std::size_t i = 0; i < 256; ++i) {
        const std::uint32_t q = r.element(x[i], i / 32, 31);
        b.add(48 + i / 64 * 32 + i % 32, (q & 15) << (i % 64 / 32 * 4));
        b.add(16 + i % 32, (q >> 4) << (i / 32));
    }
}

void q6_k(Values x, Block b) {
    const auto scales = fitted_scales<16>(x, 32);
    const float d = b.half(208, largest(scales) / -128);
    for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
        const int scale = level(scales[i / 16], d, -128, 127);
        if (i % 16 == 0) b.add(192 + i / 16, static_cast<std::uint32_t>(scale));
        const auto q = static_cast<std::uint32_t>(level(x[i], d * static_cast<float>(scale), -32, 31) + 32);
        b.add(half * 64 + quarter % 2 * 32 + l, (q & 15) << (quarter / 2 * 4));
        b.add(128 + half * 32 + l, (q >> 4) << (quarter * 2));
    }
}

}  // namespace

void quantize_block(StoredType type, std::span<const float> values, std::span<std::byte> block) {
    std::fill(block.begin(), block.end(), std::byte(0));
    const Block b{block.data()};
    switch (type) {
        case StoredType::q4_0:
            return scaled(values, b, 8, 2, 0);
        case StoredType::q4_1:
            return ranged(values, b, 15, 4, 0);
        case StoredType::q5_0:
            return scaled(values, b, 16, 6, 2);
        case StoredType::q5_1:
            return ranged(values, b, 31, 8, 4);
        case StoredType::q8_0:
            return q8_0(values, b);
        case StoredType::q2_k:
            return q2_k(values, b);
        case StoredType::q3_k:
            return q3_k(values, b);
        case StoredType::q4_k:
            return q4_k(values, b);
        case StoredType::q5_k:
            return q5_k(values, b);
        case StoredType::q6_k:
            return q6_k(values, b);
        default:
            break;  // other types have no blocks
    }
}

}  // namespace pumice
