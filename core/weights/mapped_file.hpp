// A file mapped into memory, read-only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "base/result.hpp"

namespace pumice {

/// The pages are the system's cache of the file: they cost no memory of ours and are read when touched. The file must
/// not be shortened by others while it is mapped (the system then ends the process with SIGBUS, as with any mapping).
/// Movable; reading from several threads is fine.
class MappedFile {
public:
    /// Code::not_found for an absent file, Code::io for a folder, a file without read permission or anything else that
    /// cannot be mapped, Code::bad_format for an empty file. Each names the file.
    static Result<MappedFile> open(const std::filesystem::path&);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    std::span<const std::byte> bytes() const { return bytes_; }
    const std::filesystem::path& path() const { return path_; }

    /// Hints, never errors, on a part of bytes(): the part is wanted soon; or it has been used, and its pages need no
    /// longer count as memory of this process (they are read again if touched again).
    void will_need(std::span<const std::byte> part) const;
    void done_with(std::span<const std::byte> part) const;

private:
    MappedFile() = default;
    std::filesystem::path path_;
    std::span<const std::byte> bytes_;
};

}  // namespace pumice
