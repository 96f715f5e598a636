#include "weights/quantized.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/half.hpp"
#include "catch.hpp"

using namespace pumice;

namespace {

using Bytes = std::vector<std::uint8_t>;

float half_at(const Bytes& b, std::size_t i) {
    return f16_to_f32(static_cast<std::uint16_t>(b[i] | b[i + 1] << 8));
}

/// Random bytes with small scales where a type has its halves.
Bytes random_block(StoredType type, std::initializer_list<std::size_t> halves, std::mt19937& random) {
    Bytes block(size_of(type));
    for (auto& b : block) b = static_cast<std::uint8_t>(random());
    for (const std::size_t at : halves) {
        const std::uint16_t h = f32_to_f16(static_cast<float>(random() % 2000) / 1000 - 1);
        block[at] = static_cast<std::uint8_t>(h);
        block[at + 1] = static_cast<std::uint8_t>(h >> 8);
    }
    return block;
}

std::vector<float> dequantized(StoredType type, const Bytes& block) {
    std::vector<float> values(block_elements(type));
    dequantize_block(type, std::as_bytes(std::span(block)), values);
    return values;
}

// The formats written out as loops over the packed bytes, as their description has them.

std::vector<float> legacy_reference(StoredType type, const Bytes& b) {
    const bool five = type == StoredType::q5_0 || type == StoredType::q5_1;
    const bool minimum = type == StoredType::q4_1 || type == StoredType::q5_1;
    std::size_t at = minimum ? 4 : 2;
    std::uint32_t high = 0;
    if (five) {
        std::memcpy(&high, &b[at], 4);
        at += 4;
    }
    std::vector<float> y(32);
    for (std::size_t j = 0; j < 16; ++j) {
        int low = b[at + j] & 15, up = b[at + j] >> 4;
        if (five) {
            low |= static_cast<int>((high >> j) << 4 & 16);
            up |= static_cast<int>((high >> (j + 12)) & 16);
        }
        const int zero = minimum ? 0 : five ? 16 : 8;
        y[j] = static_cast<float>(low - zero) * half_at(b, 0);
        y[j + 16] = static_cast<float>(up - zero) * half_at(b, 0);
    }
    if (minimum)
        for (float& v : y) v += half_at(b, 2);
    return y;
}

std::vector<float> q2_reference(const Bytes& b) {
    std::vector<float> y;
    std::size_t scale = 0;
    for (std::size_t q = 16; q < 80; q += 32)
        for (int shift = 0; shift < 8; shift += 2)
            for (std::size_t half = 0; half < 32; half += 16) {
                const float d = half_at(b, 80) * static_cast<float>(b[scale] & 15);
                const float m = half_at(b, 82) * static_cast<float>(b[scale] >> 4);
                ++scale;
                for (std::size_t l = 0; l < 16; ++l)
                    y.push_back(d * static_cast<float>(b[q + half + l] >> shift & 3) - m);
            }
    return y;
}

std::vector<float> q3_reference(const Bytes& b) {
    std::uint32_t aux[4];
    std::memcpy(aux, &b[96], 12);
    const std::uint32_t tmp = aux[2];
    aux[2] = ((aux[0] >> 4) & 0x0f0f0f0f) | (((tmp >> 4) & 0x03030303) << 4);
    aux[3] = ((aux[1] >> 4) & 0x0f0f0f0f) | (((tmp >> 6) & 0x03030303) << 4);
    aux[0] = (aux[0] & 0x0f0f0f0f) | ((tmp & 0x03030303) << 4);
    aux[1] = (aux[1] & 0x0f0f0f0f) | (((tmp >> 2) & 0x03030303) << 4);
    std::int8_t scales[16];
    std::memcpy(scales, aux, 16);
    std::vector<float> y;
    int scale = 0, mask = 1;
    for (std::size_t q = 32; q < 96; q += 32)
        for (int shift = 0; shift < 8; shift += 2) {
            for (std::size_t half = 0; half < 32; half += 16) {
                const float d = half_at(b, 108) * static_cast<float>(scales[scale++] - 32);
                for (std::size_t l = 0; l < 16; ++l)
                    y.push_back(d * static_cast<float>((b[q + half + l] >> shift & 3) - (b[half + l] & mask ? 0 : 4)));
            }
            mask <<= 1;
        }
    return y;
}

std::vector<float> q45_reference(const Bytes& b, bool five) {
    std::vector<float> y;
    const std::uint8_t* const s = &b[4];
    const auto scale_min = [&](int j, int& d, int& m) {
        if (j < 4) {
            d = s[j] & 63;
            m = s[j + 4] & 63;
        } else {
            d = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
            m = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
        }
    };
    std::size_t q = five ? 48 : 16;
    int u = 1;
    for (int j = 0; j < 8; ++j) {
        int d = 0, m = 0;
        scale_min(j, d, m);
        const float scale = half_at(b, 0) * static_cast<float>(d), min = half_at(b, 2) * static_cast<float>(m);
        for (std::size_t l = 0; l < 32; ++l) {
            int v = j % 2 == 0 ? b[q + l] & 15 : b[q + l] >> 4;
            if (five && (b[16 + l] & u) != 0) v += 16;
            y.push_back(scale * static_cast<float>(v) - min);
        }
        u <<= 1;
        if (j % 2 == 1) q += 32;
    }
    return y;
}

std::vector<float> q6_reference(const Bytes& b) {
    std::vector<float> y(256);
    for (std::size_t n = 0; n < 2; ++n)
        for (std::size_t l = 0; l < 32; ++l) {
            const std::uint8_t *ql = &b[64 * n], *qh = &b[128 + 32 * n];
            const int q[4] = {((ql[l] & 15) | (qh[l] & 3) << 4) - 32, ((ql[l + 32] & 15) | (qh[l] >> 2 & 3) << 4) - 32,
                              ((ql[l] >> 4) | (qh[l] >> 4 & 3) << 4) - 32,
                              ((ql[l + 32] >> 4) | (qh[l] >> 6 & 3) << 4) - 32};
            for (std::size_t k = 0; k < 4; ++k) {
                const auto scale = static_cast<std::int8_t>(b[192 + 8 * n + l / 16 + 2 * k]);
                y[128 * n + 32 * k + l] = half_at(b, 208) * static_cast<float>(scale) * static_cast<float>(q[k]);
            }
        }
    return y;
}

}  // namespace

TEST_CASE("blocks of ggml as floats", "[weights]") {
    std::mt19937 random(4);
    for (int i = 0; i < 20; ++i) {
        for (const StoredType type : {StoredType::q4_0, StoredType::q4_1, StoredType::q5_0, StoredType::q5_1}) {
            INFO(to_string(type));
            const Bytes b = random_block(type, {0, 2}, random);
            CHECK(dequantized(type, b) == legacy_reference(type, b));
        }
        Bytes b = random_block(StoredType::q8_0, {0}, random);
        std::vector<float> y;
        for (std::size_t j = 0; j < 32; ++j)
            y.push_back(static_cast<float>(static_cast<std::int8_t>(b[2 + j])) * half_at(b, 0));
        CHECK(dequantized(StoredType::q8_0, b) == y);
        b = random_block(StoredType::q2_k, {80, 82}, random);
        CHECK(dequantized(StoredType::q2_k, b) == q2_reference(b));
        b = random_block(StoredType::q3_k, {108}, random);
        CHECK(dequantized(StoredType::q3_k, b) == q3_reference(b));
        b = random_block(StoredType::q4_k, {0, 2}, random);
        CHECK(dequantized(StoredType::q4_k, b) == q45_reference(b, false));
        b = random_block(StoredType::q5_k, {0, 2}, random);
        CHECK(dequantized(StoredType::q5_k, b) == q45_reference(b, true));
        b = random_block(StoredType::q6_k, {208}, random);
        CHECK(dequantized(StoredType::q6_k, b) == q6_reference(b));
    }
}

TEST_CASE("elements of any type and from any place", "[weights]") {
    std::mt19937 random(5);
    Bytes bytes;
    std::vector<float> whole;
    for (int i = 0; i < 3; ++i) {
        const Bytes b = random_block(StoredType::q5_0, {0}, random);
        bytes.insert(bytes.end(), b.begin(), b.end());
        const auto y = legacy_reference(StoredType::q5_0, b);
        whole.insert(whole.end(), y.begin(), y.end());
    }
    const StoredTensor t{"t", StoredType::q5_0, {96}, std::as_bytes(std::span(bytes))};
    for (const std::size_t first : {std::size_t(0), std::size_t(7), std::size_t(31), std::size_t(64)}) {
        std::vector<float> part(96 - first);
        read_f32(t, first, part);
        CHECK(part == std::vector<float>(whole.begin() + static_cast<std::ptrdiff_t>(first), whole.end()));
    }
    const std::int16_t ints[] = {-3, 7};
    std::array<float, 2> two{};
    read_f32({"i", StoredType::i16, {2}, std::as_bytes(std::span(ints))}, 0, two);
    CHECK(two == std::array{-3.0f, 7.0f});
    const double doubles[] = {0.1};
    read_f32({"d", StoredType::f64, {1}, std::as_bytes(std::span(doubles))}, 0, {two.data(), 1});
    CHECK(two[0] == 0.1f);

    CHECK(shape_bytes(std::vector<std::uint64_t>{2, 64}, StoredType::q4_0) == 72u);
    CHECK_FALSE(shape_bytes(std::vector<std::uint64_t>{64, 2}, StoredType::q4_0));
    CHECK_FALSE(shape_bytes(std::vector<std::uint64_t>{}, StoredType::q4_0));
    CHECK_FALSE(stored_type("Q4_0"));  // no safetensors file has any
}

TEST_CASE("8-bit floats", "[weights]") {
    // All 256 of each, from the definition: (-1)^s 2^(e-bias) (1 + m/2^bits), below 2^(1-bias) m/2^bits.
    for (int i = 0; i < 256; ++i) {
        const auto value = [&](int bits, int bias) {
            const int mantissa = i & ((1 << bits) - 1), exponent = (i & 127) >> bits;
            const double size = exponent == 0 ? std::ldexp(mantissa, 1 - bias - bits)
                                              : std::ldexp((1 << bits) + mantissa, exponent - bias - bits);
            return static_cast<float>(i < 128 ? size : -size);
        };
        const auto byte = static_cast<std::uint8_t>(i);
        INFO(i);
        if ((i & 127) == 127) {
            CHECK(std::isnan(f8_e4m3_to_f32(byte)));
        } else {
            CHECK(f8_e4m3_to_f32(byte) == value(3, 7));
            CHECK(f16_to_f32(f32_to_f16(f8_e4m3_to_f32(byte))) == value(3, 7));  // halves hold them
        }
        if ((i & 127) > 124)
            CHECK(std::isnan(f8_e5m2_to_f32(byte)));
        else if ((i & 127) == 124)
            CHECK(std::abs(f8_e5m2_to_f32(byte)) == std::numeric_limits<float>::infinity());
        else
            CHECK(f8_e5m2_to_f32(byte) == value(2, 15));
    }
}
