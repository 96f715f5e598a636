// Weights on the device, in the layout the kernels read.
#pragma once

#include <cstdint>
#include <string>

#include "graph/graph.hpp"
#include "graph/tensor.hpp"
#include "vulkan/memory.hpp"

namespace pumice {

enum class WeightLayout : std::uint8_t {
    vector,  ///< f32 [n], padded with zeros to a multiple of 4: biases, norms
    rows,    ///< [n][k] as in the file: embedding tables
    packed,  ///< [tap][k/4][n][4], n and k padded with zeros to multiples of 4: linear and convolution
};

/// Blocks of ggml along the rows of a packed weight (core/weights/quantized.hpp has the formats): the memory then holds
/// them as the file does, [n][k / block_elements] blocks, padded to whole words, and ops::dequantize makes the packed
/// layout of them for one use.
enum class Blocks : std::uint8_t { none, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k };
std::uint32_t block_elements(Blocks);
std::uint32_t block_bytes(Blocks);

/// A tensor of a checkpoint on the device. `dtype` is the file's (vectors are f32). A linear layer has one tap; a
/// 3x3 convolution nine, tap = ky * kernel_w + kx.
///
/// Packed: element (tap, k, n) stands at ((tap * k/4 + k / 4) * n_padded + column(n)) * 4 + k % 4. column(n) = n, but
/// for a `geglu` weight, whose first half are values and second half gates: groups of four columns hold two values
/// and their two gates (v0 v1 g0 g1 | v2 v3 g2 g3 | …), and the bias is stored in the same order.
struct Weight {
    std::string name;
    BufferRange range;
    DType dtype = DType::f32;
    WeightLayout layout = WeightLayout::packed;
    std::uint32_t n = 0, k = 0;  ///< as in the file: output and input channels; a vector has k = 1
    std::uint32_t kernel_h = 1, kernel_w = 1;
    bool geglu = false;
    Blocks blocks = Blocks::none;

    std::uint32_t n_padded() const { return (n + 3) / 4 * 4; }
    std::uint32_t k_padded() const { return layout == WeightLayout::packed ? (k + 3) / 4 * 4 : k; }
    std::uint32_t taps() const { return kernel_h * kernel_w; }
    /// Of a row of blocks.
    std::uint64_t row_bytes() const { return std::uint64_t(k) / block_elements(blocks) * block_bytes(blocks); }
    explicit operator bool() const { return range.buffer != nullptr; }
    /// As a tensor of a graph: {1, taps, k_padded, n_padded}, a vector {1, 1, 1, n_padded}, rows {1, 1, n, k},
    /// blocks i32 words {1, 1, 1, …}.
    TensorId in(Graph& graph) const;
};

}  // namespace pumice
