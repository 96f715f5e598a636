#include "vulkan/pipeline_cache.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

namespace pumice {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t(256) << 20;
constexpr std::array<char, 8> kMagic{'P', 'U', 'M', 'I', 'C', 'E', 'P', '1'};

/// What stands before the driver's data. No padding; host byte order, because the driver's data is of this host too.
struct FileHeader {
    std::array<char, 8> magic;
    std::array<std::uint8_t, 16> device_uuid, cache_uuid;
    std::uint32_t vendor_id, device_id, driver_version, zero;
    std::uint64_t size, hash;
};
static_assert(sizeof(FileHeader) == 72);

FileHeader header_for(const Capabilities& caps, std::span<const std::byte> data) {
    return {kMagic, caps.uuid,   caps.pipeline_cache_uuid, caps.vendor_id, caps.device_id, caps.driver_version,
            0,      data.size(), pipeline_cache_hash(data)};
}

Error bad(std::string why) {
    return {Code::bad_format, std::move(why)};
}

Status check_driver_header(const Capabilities& caps, std::span<const std::byte> data) {
    VkPipelineCacheHeaderVersionOne header{};
    if (data.size() < sizeof header) return bad("the driver's data is too short");
    std::memcpy(&header, data.data(), sizeof header);
    if (header.headerSize < sizeof header || header.headerVersion != VK_PIPELINE_CACHE_HEADER_VERSION_ONE)
        return bad("the driver's data has an unknown header");
    if (header.vendorID != caps.vendor_id || header.deviceID != caps.device_id ||
        std::memcmp(header.pipelineCacheUUID, caps.pipeline_cache_uuid.data(), VK_UUID_SIZE) != 0)
        return bad("the driver's data is of another driver");
    return {};
}

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Error io(const char* what, const std::filesystem::path& path) {
    return {Code::io, fmt::format("{} {}: {}", what, path.string(), std::strerror(errno))};
}

/// A name beside `path` that no other writer uses.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
    static std::atomic<unsigned> counter{0};
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    std::filesystem::path temporary = path;
    temporary += fmt::format(".{:x}-{}.tmp", now, counter.fetch_add(1));
    return temporary;
}

}  // namespace

std::string pipeline_cache_name(const Capabilities& caps) {
    return fmt::format("pipelines-{}-{:08x}.bin", uuid_string(caps.uuid), caps.driver_version);
}

std::uint64_t pipeline_cache_hash(std::span<const std::byte> data) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::byte b : data) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
    return hash;
}

std::vector<std::byte> encode_pipeline_cache(const Capabilities& caps, std::span<const std::byte> data) {
    const FileHeader header = header_for(caps, data);
    std::vector<std::byte> file(sizeof header + data.size());
    std::memcpy(file.data(), &header, sizeof header);
    if (!data.empty()) std::memcpy(file.data() + sizeof header, data.data(), data.size());
    return file;
}

Result<std::vector<std::byte>> decode_pipeline_cache(const Capabilities& caps, std::span<const std::byte> file) {
    FileHeader header{};
    if (file.size() < sizeof header) return bad("the file is too short");
    std::memcpy(&header, file.data(), sizeof header);
    const auto data = file.subspan(sizeof header);
    if (header.magic != kMagic) return bad("it is not a pipeline cache of this version");
    const FileHeader expected = header_for(caps, data);
    if (header.device_uuid != expected.device_uuid || header.cache_uuid != expected.cache_uuid ||
        header.vendor_id != expected.vendor_id || header.device_id != expected.device_id ||
        header.driver_version != expected.driver_version)
        return bad("it is of another device or driver");
    if (header.size != data.size()) return bad("the file is truncated or too long");
    if (header.hash != expected.hash || header.zero != 0) return bad("the file is damaged");
    PUMICE_TRY(check_driver_header(caps, data));
    return std::vector<std::byte>(data.begin(), data.end());
}

Result<std::optional<std::vector<std::byte>>> read_cache_file(const std::filesystem::path& path) {
    std::error_code missing;
    const std::uint64_t size = std::filesystem::file_size(path, missing);
    if (missing == std::errc::no_such_file_or_directory) return std::optional<std::vector<std::byte>>{};
    if (missing) return Error{Code::io, fmt::format("reading {}: {}", path.string(), missing.message())};
    if (size > kLargestFile) return bad("the file is too large");
    const File file(std::fopen(path.c_str(), "rb"));
    if (!file) return io("reading", path);
    std::vector<std::byte> bytes(size);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));  // a shorter one is caught by its header
    return std::optional(std::move(bytes));
}

Status write_cache_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    if (failed) return Error{Code::io, fmt::format("making {}: {}", path.parent_path().string(), failed.message())};
    const std::filesystem::path temporary = temporary_beside(path);
    File file(std::fopen(temporary.c_str(), "wb"));
    if (!file) return io("writing", temporary);
    bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
    written = std::fclose(file.release()) == 0 && written;
    if (!written) {
        Error error = io("writing", temporary);
        std::filesystem::remove(temporary, failed);
        return error;
    }
    std::filesystem::rename(temporary, path, failed);
    if (!failed) return {};
    Error error{Code::io, fmt::format("renaming {} to {}: {}", temporary.string(), path.string(), failed.message())};
    std::filesystem::remove(temporary, failed);
    return error;
}

}  // namespace pumice
