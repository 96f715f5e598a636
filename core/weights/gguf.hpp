// GGUF, the format of ggml, as stable-diffusion.cpp writes models.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3)
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

struct GgufHeader {
    std::map<std::string, std::string> metadata;  ///< texts as they are, numbers as text; arrays are left out
    std::vector<StoredTensor> tensors;            ///< shapes in the order of safetensors: ggml's reversed
};

/// What ggml's type of this number is; nothing for those that are not read.
std::optional<StoredType> ggml_type(std::uint32_t number);

bool is_gguf(std::span<const std::byte> file);

/// Parses a whole file in memory. Every size, range and name is checked: Code::bad_format, or Code::unsupported for a
/// version or an element type that is not read, with one line that names `file_name` and the tensor.
Result<GgufHeader> parse_gguf(std::span<const std::byte> file, const std::string& file_name);

Result<WeightFile> open_gguf(std::shared_ptr<const MappedFile>);

}  // namespace pumice
