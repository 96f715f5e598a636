#include "weights/quantized.hpp"

#include <cstdint>
#include <cstring>

#include "base/half.hpp"

namespace pumice {
namespace {

/// The bytes of a block.
struct Block {
    const std::byte* at;

    std::uint32_t u8(std::size_t i) const { return std::to_integer<std::uint32_t>(at[i]); }
    float i8(std::size_t i) const { return static_cast<float>(static_cast<std::int8_t>(u8(i))); }
    float half(std::size_t i) const { return f16_to_f32(static_cast<std::uint16_t>(u8(i) | u8(i + 1) << 8)); }
    std::uint32_t u32(std::size_t i) const { return u8(i) | u8(i + 1) << 8 | u8(i + 2) << 16 | u8(i + 3) << 24; }
    /// Element j of 32 in 16 bytes: the low nibbles, then the high ones.
    std::uint32_t nibble(std::size_t i, std::size_t j) const { return j < 16 ? u8(i + j) & 15 : u8(i + j - 16) >> 4; }
};

float as_float(std::uint32_t n) {
    return static_cast<float>(n);
}

// ---- 32 elements: a scale d, in the _1 types a minimum m ----

void q4_0(Block b, std::span<float> to) {
    for (std::size_t j = 0; j < 32; ++j) to[j] = b.half(0) * (as_float(b.nibble(2, j)) - 8);
}

void q4_1(Block b, std::span<float> to) {
    for (std::size_t j = 0; j < 32; ++j) to[j] = b.half(0) * as_float(b.nibble(4, j)) + b.half(2);
}

/// The fifth bits stand together, one an element.
void q5_0(Block b, std::span<float> to) {
    const std::uint32_t high = b.u32(2);
    for (std::size_t j = 0; j < 32; ++j) to[j] = b.half(0) * (as_float(b.nibble(6, j) | (high >> j & 1) << 4) - 16);
}

void q5_1(Block b, std::span<float> to) {
    const std::uint32_t high = b.u32(4);
    for (std::size_t j = 0; j < 32; ++j)
        to[j] = b.half(0) * as_float(b.nibble(8, j) | (high >> j & 1) << 4) + b.half(2);
}

void q8_0(Block b, std::span<float> to) {
    for (std::size_t j = 0; j < 32; ++j) to[j] = b.half(0) * b.i8(2 + j);
}

// ---- 256 elements in groups of 16 or 32 with scales of their own ----

/// 16 groups of 16: scale and minimum of 4 bits each; two bits an element.
void q2_k(Block b, std::span<float> to) {
    const float d = b.half(80), m = b.half(82);
    for (std::size_t i = 0; i < 256; ++i) {
        const std::uint32_t scale = b.u8(i / 16);
        const std::uint32_t q = b.u8(16 + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3;
        to[i] = d * as_float(scale & 15) * as_float(q) - m * as_float(scale >> 4);
    }
}

/// 16 groups of 16 with scales of 6 bits; two bits an element, and a third that is not set where 4 is taken off.
void q3_k(Block b, std::span<float> to) {
    const float d = b.half(108);
    for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t s = i / 16;
        const std::uint32_t low = s < 8 ? b.u8(96 + s) & 15 : b.u8(96 + s - 8) >> 4;
        const std::uint32_t scale = low | (b.u8(104 + s % 4) >> (s / 4 * 2) & 3) << 4;
        const std::uint32_t q = b.u8(32 + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3;
        const bool third = (b.u8(i % 32) >> (i / 32) & 1) != 0;
        to[i] = d * (as_float(scale) - 32) * (as_float(q) - (third ? 0.0f : 4.0f));
    }
}

/// Scale and minimum of group s of 8, 6 bits each in 12 bytes from `at`.
struct ScaleMin {
    float scale, min;
};
ScaleMin scale_min(Block b, std::size_t at, std::size_t s) {
    if (s < 4) return {as_float(b.u8(at + s) & 63), as_float(b.u8(at + s + 4) & 63)};
    return {as_float((b.u8(at + s + 4) & 15) | (b.u8(at + s - 4) >> 6) << 4),
            as_float((b.u8(at + s + 4) >> 4) | (b.u8(at + s) >> 6) << 4)};
}

/// Element i of 256 in 128 bytes: 32 low nibbles, 32 high ones, and so on.
std::uint32_t nibble_of_256(Block b, std::size_t at, std::size_t i) {
    return b.u8(at + i / 64 * 32 + i % 32) >> (i % 64 / 32 * 4) & 15;
}

void q4_k(Block b, std::span<float> to) {
    const float d = b.half(0), m = b.half(2);
    for (std::size_t i = 0; i < 256; ++i) {
        const ScaleMin s = scale_min(b, 4, i / 32);
        to[i] = d * s.scale * as_float(nibble_of_256(b, 16, i)) - m * s.min;
    }
}

void q5_k(Block b, std::span<float> to) {
    const float d = b.half(0), m = b.half(2);
    for (std::size_t i = 0; i < 256; ++i) {
        const ScaleMin s = scale_min(b, 4, i / 32);
        const std::uint32_t fifth = b.u8(16 + i % 32) >> (i / 32) & 1;
        to[i] = d * s.scale * as_float(nibble_of_256(b, 48, i) | fifth << 4) - m * s.min;
    }
}

/// 16 groups of 16 with signed scales; each half of 128 elements has 64 bytes of low nibbles and 32 of upper bits.
void q6_k(Block b, std::span<float> to) {
    const float d = b.half(208);
    for (std::size_t i = 0; i < 256; ++i) {
        const std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
        const std::uint32_t low = b.u8(half * 64 + quarter % 2 * 32 + l) >> (quarter / 2 * 4) & 15;
        const std::uint32_t high = b.u8(128 + half * 32 + l) >> (quarter * 2) & 3;
        to[i] = d * b.i8(192 + i / 16) * (as_float(low | high << 4) - 32);
    }
}

}  // namespace

void dequantize_block(StoredType type, std::span<const std::byte> block, std::span<float> to) {
    const Block b{block.data()};
    switch (type) {
        case StoredType::q4_0:
            return q4_0(b, to);
        case StoredType::q4_1:
            return q4_1(b, to);
        case StoredType::q5_0:
            return q5_0(b, to);
        case StoredType::q5_1:
            return q5_1(b, to);
        case StoredType::q8_0:
            return q8_0(b, to);
        case StoredType::q2_k:
            return q2_k(b, to);
        case StoredType::q3_k:
            return q3_k(b, to);
        case StoredType::q4_k:
            return q4_k(b, to);
        case StoredType::q5_k:
            return q5_k(b, to);
        case StoredType::q6_k:
            return q6_k(b, to);
        default:
            break;  // other types have no blocks
    }
}

}  // namespace pumice
