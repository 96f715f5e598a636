// The safetensors format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"

namespace pumice {

/// Element types a file may have; what the device takes is narrower (weights/upload.hpp).
enum class StoredType : std::uint8_t {
    f64,
    f32,
    f16,
    bf16,
    f8_e4m3,
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
    boolean
};

/// Bytes of one element.
std::size_t size_of(StoredType);
/// The format's name: "F16".
const char* to_string(StoredType);
std::optional<StoredType> stored_type(std::string_view name);

/// "[320, 4, 3, 3]"
std::string shape_string(std::span<const std::uint64_t> shape);
/// `text` from outside for a message of one line: control characters become '?', and the middle of what is longer than
/// 160 bytes is left out.
std::string printable(std::string_view text);

struct StoredTensor {
    std::string name;
    StoredType dtype = StoredType::f32;
    std::vector<std::uint64_t> shape;  ///< row-major, empty for a scalar
    std::span<const std::byte> data;   ///< at no particular alignment; belongs to the file's mapping
    std::uint64_t elements() const { return data.size() / size_of(dtype); }
};

struct SafetensorsHeader {
    std::map<std::string, std::string> metadata;  ///< the header's __metadata__
    std::vector<StoredTensor> tensors;            ///< by name
};

/// Parses a whole file in memory. Every size, range and name is checked: Code::bad_format with one line that names
/// `file_name` and the tensor. What is accepted: every byte after the header belongs to exactly one tensor.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, const std::string& file_name);

/// A mapped safetensors file. Immutable, so usable from several threads.
class SafetensorsFile {
public:
    static Result<SafetensorsFile> open(const std::filesystem::path&);

    const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
    const std::vector<StoredTensor>& tensors() const { return header_.tensors; }  ///< by name
    /// Null if there is none of that name. The pointer lives as long as the file.
    const StoredTensor* find(std::string_view name) const;
    /// As find; Code::bad_format naming file and tensor if there is none.
    Result<const StoredTensor*> tensor(std::string_view name) const;
    /// Whether any tensor's name starts with `prefix`.
    bool has_prefix(std::string_view prefix) const { return !with_prefix(prefix).empty(); }
    /// Those whose name starts with `prefix`.
    std::span<const StoredTensor> with_prefix(std::string_view prefix) const;

    const MappedFile& file() const { return file_; }
    std::string path() const { return file_.path().string(); }

private:
    SafetensorsFile(MappedFile file, SafetensorsHeader header) : file_(std::move(file)), header_(std::move(header)) {}
    MappedFile file_;
    SafetensorsHeader header_;
};

}  // namespace pumice
