// A tensor as a weight file has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pumice {

/// Element types a file may have; what the device takes is narrower (weights/upload.hpp).
enum class StoredType : std::uint8_t {
    f64,
    f32,
    f16,
    bf16,
    f8_e4m3,  ///< 1-4-3 bits with bias 7; no infinity, one NaN (OCP OFP8 "E4M3", PyTorch's float8_e4m3fn)
    f8_e5m2,
    f8_e8m0,
    i64,
    i32,
    i16,
    i8,
    u64,
    u32,
    u16,
    u8,
    boolean,
    // Blocks of GGUF along a row (weights/quantized.hpp): 32 elements, or 256 in those with a K.
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q8_0,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k
};

/// Elements that are stored together: 1, or a block's.
std::size_t block_elements(StoredType);
/// Bytes of one element, or of one block.
std::size_t size_of(StoredType);
inline bool is_quantized(StoredType type) {
    return block_elements(type) > 1;
}
/// The name that safetensors or GGUF has for it: "F16", "Q4_K".
const char* to_string(StoredType);
/// Of an element type by its safetensors name.
std::optional<StoredType> stored_type(std::string_view name);

struct StoredTensor {
    std::string name;
    StoredType dtype = StoredType::f32;
    std::vector<std::uint64_t> shape;  ///< row-major, empty for a scalar
    std::span<const std::byte> data;   ///< dense, at no particular alignment; belongs to the WeightFile
    std::uint64_t elements() const { return data.size() / size_of(dtype) * block_elements(dtype); }
};

/// Elements [first, first + to.size()) as f32: what is narrower exactly, what is wider rounded, blocks as
/// weights/quantized.hpp reads them.
void read_f32(const StoredTensor&, std::uint64_t first, std::span<float> to);

/// Bytes of a shape, or nothing when the number does not fit in 64 bits or the rows are not made of whole blocks.
std::optional<std::uint64_t> shape_bytes(std::span<const std::uint64_t> shape, StoredType);

/// "[320, 4, 3, 3]"
std::string shape_string(std::span<const std::uint64_t> shape);
/// `text` from outside for a message of one line: control characters become '?', and the middle of what is longer than
/// 160 bytes is left out.
std::string printable(std::string_view text);

}  // namespace pumice
