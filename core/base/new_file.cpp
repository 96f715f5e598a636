#include "base/new_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace pumice {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

Error failure(const fs::path& file, int number) {
    const std::string name = file.string(), folder = folder_of(file).string(), reason = std::strerror(number);
    switch (number) {
        case ENOENT:
            return {Code::not_found,
                    fmt::format("cannot write {}: there is no folder {}; create it, or choose another", name, folder)};
        case EEXIST:
            return {Code::io, fmt::format("{} exists; choose another name, or --force replaces it", name)};
        case EISDIR:
            return {Code::io, fmt::format("cannot write {}: it is a folder; name a file", name)};
        case ENOTDIR:
            return {Code::io, fmt::format("cannot write {}: it, or a part of its path, is no folder", name)};
        case EACCES:
        case EPERM:
        case EROFS:
            return {Code::io,
                    fmt::format("cannot write {}: {} does not let files be written ({}); choose another folder", name,
                                folder, reason)};
        case ENOSPC:
        case EDQUOT:
            return {Code::io,
                    fmt::format("cannot write {}: the disk is full ({}); make room, or choose another", name, reason)};
        case EFBIG:
            return {Code::io,
                    fmt::format("cannot write {}: files may not be that large here ({}); see ulimit -f", name, reason)};
        default:
            return {Code::io, fmt::format("cannot write {}: {}; choose another place", name, reason)};
    }
}

/// The name until it is whole: random, because two programs may write to one folder.
fs::path temporary_name(const fs::path& target) {
    std::random_device random;
    return folder_of(target) / fmt::format(".{}.{:08x}.part", target.filename().string().substr(0, 200), random());
}

/// So that the name, too, survives a loss of power; a file system that cannot is no reason to fail.
void sync_folder(const fs::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)::fsync(descriptor);
    ::close(descriptor);
}

/// "model/" is the folder "model".
fs::path without_slash(const fs::path& path) {
    return path.has_filename() ? path : path.parent_path();
}

/// 0, or errno.
int give_name(const fs::path& from, const fs::path& to, Existing existing) {
    if (existing == Existing::replace) return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
    // A link fails when the name is taken. Some file systems have no links; there the look comes first.
    if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
    if (errno == EEXIST || ::access(to.c_str(), F_OK) == 0) return EEXIST;
    return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

Result<NewFile> NewFile::create(const fs::path& given, Existing existing) {
    std::error_code ignored;
    const fs::path target = fs::is_symlink(given, ignored) ? fs::weakly_canonical(given, ignored) : given;
    if (target.filename().empty() || fs::is_directory(target, ignored)) return failure(given, EISDIR);
    if (existing == Existing::refuse && fs::exists(fs::symlink_status(target, ignored))) return failure(given, EEXIST);
    if (fs::exists(target, ignored) && !fs::is_regular_file(target, ignored))
        return Error{Code::io, fmt::format("cannot write {}: it is no regular file", given.string())};
    NewFile file;
    file.target_ = target;
    file.existing_ = existing;
    file.part_ = temporary_name(target);
    file.descriptor_ = ::open(file.part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor_ < 0) {
        file.part_.clear();
        return failure(given, errno);
    }
    return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : target_(std::move(other.target_)),
      part_(std::exchange(other.part_, {})),
      existing_(other.existing_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

NewFile::~NewFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!part_.empty()) ::unlink(part_.c_str());
}

Status NewFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ::ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failure(target_, n < 0 ? errno : EIO);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        size_ += static_cast<std::uint64_t>(n);
    }
    return {};
}

Status NewFile::align(std::uint64_t alignment) {
    const std::vector<std::byte> zeros(static_cast<std::size_t>((alignment - size_ % alignment) % alignment));
    return write(zeros);
}

Status NewFile::patch(std::uint64_t place, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ::ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<::off_t>(place));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failure(target_, n < 0 ? errno : EIO);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        place += static_cast<std::uint64_t>(n);
    }
    return {};
}

Status NewFile::finish() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) return failure(target_, errno);
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) return failure(target_, errno);
    if (const int number = give_name(part_, target_, existing_)) return failure(target_, number);
    part_.clear();
    sync_folder(folder_of(target_));
    return {};
}

Result<NewFolder> NewFolder::create(const fs::path& given, Existing existing) {
    std::error_code error;
    const fs::path target = without_slash(given);
    if (target.filename().empty() || target.filename() == "." || target.filename() == "..")
        return Error{Code::invalid_argument, fmt::format("{} is no name for a new folder", given.string())};
    const bool there = fs::exists(fs::symlink_status(target, error));
    if (there && existing == Existing::refuse) return failure(target, EEXIST);
    // A folder that something else lies in is never taken away.
    if (there && !fs::exists(target / "model_index.json", error) && !fs::is_empty(target, error))
        return Error{Code::io, fmt::format("cannot write {}: what is there is no model's folder; choose another name",
                                           target.string())};
    NewFolder folder;
    folder.target_ = target;
    folder.existing_ = existing;
    const fs::path part = temporary_name(target);
    if (::mkdir(part.c_str(), 0777) != 0) return failure(target, errno);
    folder.part_ = part;
    return folder;
}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : target_(std::move(other.target_)), part_(std::exchange(other.part_, {})), existing_(other.existing_) {}

NewFolder::~NewFolder() {
    std::error_code ignored;
    if (!part_.empty()) fs::remove_all(part_, ignored);
}

Status NewFolder::finish() {
    std::error_code error;
    const fs::path old = temporary_name(target_);
    const bool there = fs::exists(fs::symlink_status(target_, error));
    if (there && existing_ == Existing::refuse) return failure(target_, EEXIST);
    if (there && ::rename(target_.c_str(), old.c_str()) != 0) return failure(target_, errno);
    if (::rename(part_.c_str(), target_.c_str()) != 0) {
        const int number = errno;
        if (there) ::rename(old.c_str(), target_.c_str());
        return failure(target_, number);
    }
    part_.clear();
    if (there) fs::remove_all(old, error);
    sync_folder(folder_of(target_));
    return {};
}

}  // namespace pumice
