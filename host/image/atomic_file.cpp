#include "image/atomic_file.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

fs::path folder_of(const fs::path& file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

Failure failure(const fs::path& file, int number) {
    const std::string folder = folder_of(file).string(), reason = std::strerror(number);
    switch (number) {
        case ENOENT:
            return {PUMICE_NOT_FOUND,
                    fmt::format("cannot write {}: there is no folder {}; create it, or choose another", file.string(),
                                folder)};
        case ENOTDIR:
            return {PUMICE_IO,
                    fmt::format("cannot write {}: {} is not a folder; choose another", file.string(), folder)};
        case EISDIR:
            return {PUMICE_IO, fmt::format("cannot write {}: it is a folder; name a file", file.string())};
        case EACCES:
        case EPERM:
        case EROFS:
            return {PUMICE_IO,
                    fmt::format("cannot write {}: {} does not let files be written ({}); choose another folder",
                                file.string(), folder, reason)};
        case ENOSPC:
        case EDQUOT:
            return {PUMICE_IO, fmt::format("cannot write {}: the disk is full ({}); make room, or choose another",
                                           file.string(), reason)};
        case EFBIG:
            return {PUMICE_IO, fmt::format("cannot write {}: files may not be that large here ({}); see ulimit -f",
                                           file.string(), reason)};
        default:
            return {PUMICE_IO, fmt::format("cannot write {}: {}; choose another place", file.string(), reason)};
    }
}

/// A file descriptor, and a file that disappears unless it was given its final name.
class NewFile {
public:
    explicit NewFile(int descriptor, fs::path path = {}) : descriptor_(descriptor), path_(std::move(path)) {}
    ~NewFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    const fs::path& path() const { return path_; }
    /// 0, or errno.
    int write(std::span<const std::uint8_t> bytes) {
        while (!bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return written < 0 ? errno : EIO;
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
        return 0;
    }
    int sync() { return ::fsync(descriptor_) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno; }
    int close() {
        const int result = ::close(std::exchange(descriptor_, -1));
        return result == 0 || errno == EINTR ? 0 : errno;
    }
    void keep() { path_.clear(); }

private:
    int descriptor_;
    fs::path path_;
};

/// The name a new file has until it is whole. Random, because two programs may write to one folder.
fs::path temporary_name(const fs::path& file) {
    std::random_device random;
    return folder_of(file) / fmt::format(".{}.{:08x}.part", file.filename().string().substr(0, 200), random());
}

/// 0, or errno; EEXIST when `to` exists and is to be kept.
int give_name(const fs::path& from, const fs::path& to, Existing existing) {
    if (existing == Existing::replace) return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
    // A link fails when the name is taken. Some file systems have no links; there the look comes first, and another
    // program could come between.
    if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0 ? 0 : errno;
    if (errno == EEXIST) return EEXIST;
    if (::access(to.c_str(), F_OK) == 0) return EEXIST;
    return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

/// So that the name, too, survives a loss of power; a file system that cannot is no reason to fail.
void sync_folder(const fs::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)::fsync(descriptor);
    ::close(descriptor);
}

bool is_special(const fs::path& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

Expected<bool> write_directly(const fs::path& file, std::span<const std::uint8_t> bytes) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return failure(file, errno);
    NewFile open_file(descriptor);
    if (const int number = open_file.write(bytes)) return failure(file, number);
    if (const int number = open_file.close()) return failure(file, number);
    return true;
}

/// The file that a link leads to; the name itself if it is none, or leads nowhere.
fs::path follow(const fs::path& file) {
    std::error_code error;
    const fs::path target = fs::canonical(file, error);
    return error ? file : target;
}

}  // namespace

Expected<bool> write_file(const fs::path& given, std::span<const std::uint8_t> bytes, Existing existing) {
    if (is_special(given)) return write_directly(given, bytes);
    const fs::path file = follow(given);
    HOST_TRY(check_writable(file));

    const fs::path temporary = temporary_name(file);
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) return failure(given, errno);
    NewFile fresh(descriptor, temporary);
    if (const int number = fresh.write(bytes)) return failure(given, number);
    if (const int number = fresh.sync()) return failure(given, number);
    if (const int number = fresh.close()) return failure(given, number);
    const int number = give_name(fresh.path(), file, existing);
    if (number == EEXIST && existing == Existing::keep) return false;
    if (number) return failure(given, number);
    fresh.keep();
    sync_folder(folder_of(file));
    return true;
}

Expected<void> check_writable(const fs::path& file) {
    if (is_special(file)) return {};
    struct stat status {};
    if (file.filename().empty() || (::stat(file.c_str(), &status) == 0 && S_ISDIR(status.st_mode)))
        return failure(file, EISDIR);
    const fs::path folder = folder_of(file);
    if (::stat(folder.c_str(), &status) != 0) return failure(file, errno);
    if (!S_ISDIR(status.st_mode)) return failure(file, ENOTDIR);
    if (::access(folder.c_str(), W_OK | X_OK) != 0) return failure(file, errno);
    return {};
}

}  // namespace pumice::host
