// A zip archive in a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"

namespace pumice {

struct ZipEntry {
    std::uint64_t size = 0;             ///< unpacked, as the archive says
    std::span<const std::byte> stored;  ///< the entry's bytes in the mapping; empty when it is compressed
    bool compressed = false;
};

/// Immutable. Errors name the file.
class ZipFile {
public:
    static bool recognized(std::span<const std::byte> file);
    /// Reads the directory. Code::bad_format for a damaged archive, an entry outside of the file or two of one name.
    static Result<ZipFile> open(std::shared_ptr<const MappedFile>);

    const std::map<std::string, ZipEntry, std::less<>>& entries() const { return entries_; }
    const std::shared_ptr<const MappedFile>& file() const { return file_; }

    using Unpacked = std::map<std::string, std::shared_ptr<const std::vector<std::byte>>, std::less<>>;
    /// Unpacks compressed entries, those for which `wanted` holds. No more than `limit` bytes in all; an entry that is
    /// not of the size that the archive gives is an error.
    Result<Unpacked> unpack(const std::function<bool(std::string_view name)>& wanted, std::uint64_t limit) const;

private:
    explicit ZipFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}
    std::shared_ptr<const MappedFile> file_;
    std::map<std::string, ZipEntry, std::less<>> entries_;
};

}  // namespace pumice
