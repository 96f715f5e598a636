// Shapes and element types of what lives on the device.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pumice {

enum class DType : std::uint8_t { f32, f16, bf16, i32, u8 };

constexpr std::size_t size_of(DType t) {
    switch (t) {
        case DType::f32:
        case DType::i32: return 4;
        case DType::f16:
        case DType::bf16: return 2;
        case DType::u8: return 1;
    }
    return 0;
}

/// NHWC, dense. A sequence of tokens is {n, 1, tokens, c}; a vector a picture is {n, 1, 1, c}.
/// Channels of activations are always a multiple of 4: ragged ones (RGB) are padded with zeros, which the
/// packed weights provide for free.
struct Shape {
    std::uint32_t n = 1, h = 1, w = 1, c = 1;

    constexpr std::uint64_t rows() const { return std::uint64_t(n) * h * w; }  ///< pixels or tokens, over the batch
    constexpr std::uint64_t tokens() const { return std::uint64_t(h) * w; }    ///< pixels or tokens of one picture
    constexpr std::uint64_t elements() const { return rows() * c; }
    friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

/// Index of a tensor in its graph.
struct TensorId {
    std::uint32_t index = UINT32_MAX;
    constexpr explicit operator bool() const { return index != UINT32_MAX; }
    friend constexpr bool operator==(TensorId, TensorId) = default;
};

}  // namespace pumice
