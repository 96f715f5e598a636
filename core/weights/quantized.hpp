// The block formats of ggml, as GGUF files have them. Layouts and formulas: ggml's ggml-common.h (block_q4_0 …
// block_q6_K) and ggml-quants.c (dequantize_row_*).
#pragma once

#include <cstddef>
#include <span>

#include "weights/stored_tensor.hpp"

namespace pumice {

/// One block of a quantized type as f32: `block` has size_of(type) bytes, `to` room for block_elements(type). Each
/// element is a product, or a product less or plus another, of f32 values rounded once an operation.
void dequantize_block(StoredType, std::span<const std::byte> block, std::span<float> to);

/// The other way round: one block of block_elements(type) finite values, to the nearest that a search for scales finds.
/// The 32-element types take the scale that the largest value asks for (ggml's reference does); those of 256 the best of
/// some in the sense of least squares. Read again, a value is off by no more than a step of its block or group.
void quantize_block(StoredType, std::span<const float> values, std::span<std::byte> block);

}  // namespace pumice
