// The pipeline cache's file: pure functions over bytes, and the atomic write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "vulkan/capabilities.hpp"

namespace pumice {

/// "pipelines-<device UUID>-<driver version, hex>.bin"
std::string pipeline_cache_name(const Capabilities&);

/// FNV-1a, 64 bits: guards against damage, not against malice.
std::uint64_t pipeline_cache_hash(std::span<const std::byte> data);

/// A file's bytes: a header of ours (device, driver, size and hash of the data) and what vkGetPipelineCacheData gave.
std::vector<std::byte> encode_pipeline_cache(const Capabilities&, std::span<const std::byte> data);

/// The driver's data from a file's bytes. Code::bad_format, with the reason, when the file is truncated, damaged, or
/// of another device or driver, and when the data's own header (Vulkan 1.2, 10.7.3) does not fit the device.
Result<std::vector<std::byte>> decode_pipeline_cache(const Capabilities&, std::span<const std::byte> file);

/// The bytes of a file; empty optional when there is none. Files above 256 MiB are Code::bad_format.
Result<std::optional<std::vector<std::byte>>> read_cache_file(const std::filesystem::path&);

/// Makes the folder if needed, writes a temporary file beside `path` and renames it: a reader sees the old file or
/// the whole new one.
Status write_cache_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace pumice
