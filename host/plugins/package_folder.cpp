#include "plugins/package_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

Failure cannot_read(const std::string& name, int number) {
    return {number == ENOENT ? PUMICE_NOT_FOUND : PUMICE_IO,
            fmt::format("cannot read {}: {}", name, std::strerror(number))};
}

Packaged<Bytes> read_all(int from, const std::string& name, std::size_t most) {
    constexpr std::size_t kBlock = std::size_t(1) << 20;
    Bytes bytes;
    for (;;) {
        const std::size_t before = bytes.size();
        bytes.resize(before + kBlock);
        const ssize_t got = ::read(from, bytes.data() + before, kBlock);
        bytes.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot_read(name, errno);
        if (bytes.size() > most)
            return PackageFailure(Refusal::too_large, fmt::format("{}: larger than {} MiB", name, most >> 20));
        if (got == 0) {
            bytes.shrink_to_fit();
            return bytes;
        }
    }
}

}  // namespace

Expected<PackageFolder> PackageFolder::open(const fs::path& folder) {
    FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor) return cannot_read(folder.string(), errno);
    return PackageFolder(std::move(descriptor), folder.string());
}

Packaged<std::optional<Bytes>> PackageFolder::read(const std::string& path, std::size_t most) const {
    const std::string shown = name_ + "/" + path;
    FileDescriptor file;
    std::string_view rest = path;
    for (;;) {
        const std::size_t slash = rest.find('/');
        const std::string part(rest.substr(0, slash));
        const bool last = slash == std::string_view::npos;
        const int from = file ? file.get() : descriptor_.get();
        // O_NONBLOCK: opening a pipe must not wait for its writer.
        const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
        FileDescriptor next(::openat(from, part.c_str(), flags));
        if (!next) {
            const int number = errno;
            struct stat status {};
            if (::fstatat(from, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
                return PackageFailure(Refusal::link,
                                      fmt::format("{}: a symbolic link; a package holds plain files only", shown));
            if (number == ENOENT || number == ENOTDIR) return std::optional<Bytes>();
            return cannot_read(shown, number);
        }
        file = std::move(next);
        if (last) break;
        rest.remove_prefix(slash + 1);
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return cannot_read(shown, errno);
    if (!S_ISREG(status.st_mode))
        return PackageFailure(Refusal::link, fmt::format("{}: no plain file; a package holds nothing else", shown));
    HOST_ASSIGN(Bytes bytes, read_all(file.get(), shown, most));
    return std::optional<Bytes>(std::move(bytes));
}

Packaged<Bytes> read_bytes(const fs::path& file, std::size_t most) {
    const FileDescriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) return cannot_read(file.string(), errno);
    return read_all(in.get(), file.string(), most);
}

}  // namespace pumice::host
