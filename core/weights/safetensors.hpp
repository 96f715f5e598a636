// The safetensors format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

struct SafetensorsHeader {
    std::map<std::string, std::string> metadata;  ///< the header's __metadata__
    std::vector<StoredTensor> tensors;            ///< by name
};

/// Parses a whole file in memory. Every size, range and name is checked: Code::bad_format with one line that names
/// `file_name` and the tensor. What is accepted: every byte after the header belongs to exactly one tensor.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, const std::string& file_name);

/// Whether a file begins as this format does. The length in front may be any bytes, those of another format among them,
/// so this one is asked first.
bool is_safetensors(std::span<const std::byte> file);

Result<WeightFile> open_safetensors(std::shared_ptr<const MappedFile>);

}  // namespace pumice
