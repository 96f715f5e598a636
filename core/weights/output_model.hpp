// A model on its way into a file: tensors whose values are made when they are written, piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/new_file.hpp"
#include "base/result.hpp"
#include "weights/stored_tensor.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// Elements [first, first + to.size()) of a tensor as f32; whole blocks, where it has them. Ranges may come in any order.
using ReadElements = std::function<Status(std::uint64_t first, std::span<float> to)>;
/// Bytes [begin, begin + to.size()) of a tensor; whole elements, or whole blocks. Likewise.
using ReadBytes = std::function<Status(std::uint64_t begin, std::span<std::byte> to)>;

struct OutputTensor {
    std::string name;
    StoredType dtype = StoredType::f32;
    std::vector<std::uint64_t> shape;  ///< row-major
    ReadElements elements;             ///< as floats, whatever the type
    ReadBytes bytes;                   ///< of `dtype`
    std::uint64_t element_count() const;
    std::uint64_t byte_count() const;
};

struct OutputModel {
    std::map<std::string, std::string> metadata;
    std::vector<OutputTensor> tensors;  ///< names unique
    std::uint64_t byte_count() const;
};

/// A tensor of a file as it is. Keeps the file open; pages that were read are given back.
OutputTensor copied(const WeightFile&, const StoredTensor&);
/// A tensor made of `elements`. Its bytes are those rounded to `type` (to nearest, ties to even; blocks as
/// quantize_block has them). Reading fails with Code::unsupported when a finite value is beyond the type's range.
OutputTensor made(std::string name, StoredType type, std::vector<std::uint64_t> shape, ReadElements elements);
/// The same tensor in another type.
OutputTensor retyped(const OutputTensor&, StoredType);

/// Whether a tensor's values are floats, in blocks or not: those that may change their type.
bool is_float(StoredType);

/// Told after each piece how many bytes of tensors have been written; what fails ends the writing (Code::cancelled).
using OnWritten = std::function<Status(std::uint64_t bytes)>;

/// Appends a tensor's bytes to a file, a few MiB at a time.
Status append_tensor(NewFile&, const OutputTensor&, const OnWritten&);

/// The three formats of one file. The file is not finished. Code::unsupported names a tensor that the format cannot
/// have: blocks in safetensors and checkpoints, 8-bit floats in GGUF.
Status write_safetensors(NewFile&, const OutputModel&, const OnWritten&);
/// As torch.save writes {"state_dict": …} since PyTorch 1.6: a zip archive of a pickle and the tensors' bytes, stored
/// and aligned to 64 bytes. Metadata stand beside the state_dict as texts. Nothing in the pickle needs more than
/// torch.load with weights_only=True builds.
Status write_checkpoint(NewFile&, const OutputModel&, const OnWritten&);
/// Version 3, alignment 32, metadata as texts; what stable-diffusion.cpp and ggml's other readers take.
Status write_gguf(NewFile&, const OutputModel&, const OnWritten&);

}  // namespace pumice
