// Files and folders that appear under their names when they are whole, and not at all otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/result.hpp"

namespace pumice {

enum class Existing : std::uint8_t {
    refuse,   ///< Code::io when something of that name is there
    replace,  ///< by the new one, in one step where it is a file
};

/// A file being written, piece by piece, beside the place it is to have. Until finish() nothing of that name changes;
/// destroyed before, it leaves nothing. Errors name the target and what to do: Code::io, Code::not_found for an absent
/// folder. Movable.
class NewFile {
public:
    static Result<NewFile> create(const std::filesystem::path& target, Existing);
    ~NewFile();
    NewFile(NewFile&&) noexcept;
    NewFile& operator=(NewFile&&) = delete;

    /// Appends.
    Status write(std::span<const std::byte>);
    /// Appends zeros until the size is a multiple of `alignment`.
    Status align(std::uint64_t alignment);
    /// Replaces bytes written before.
    Status patch(std::uint64_t place, std::span<const std::byte>);
    std::uint64_t size() const { return size_; }
    /// The file is on the disk and has its name.
    Status finish();

private:
    NewFile() = default;
    std::filesystem::path target_, part_;
    Existing existing_ = Existing::refuse;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

/// Likewise a folder: files are written into path(). What finish() replaces is taken away as a whole.
class NewFolder {
public:
    static Result<NewFolder> create(const std::filesystem::path& target, Existing);
    ~NewFolder();
    NewFolder(NewFolder&&) noexcept;
    NewFolder& operator=(NewFolder&&) = delete;

    const std::filesystem::path& path() const { return part_; }
    Status finish();

private:
    NewFolder() = default;
    std::filesystem::path target_, part_;
    Existing existing_ = Existing::refuse;
};

}  // namespace pumice
