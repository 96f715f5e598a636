#include "weights/mapped_file.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pumice {
namespace {

Error failed(const std::filesystem::path& path, int reason) {
    return {reason == ENOENT ? Code::not_found : Code::io, path.string() + ": " + std::strerror(reason)};
}

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

void advise(std::span<const std::byte> part, int advice, bool whole_pages) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    auto begin = reinterpret_cast<std::uintptr_t>(part.data());
    auto end = begin + part.size();
    // A neighbour's page, shared with this part, is wanted but not given up.
    begin = whole_pages ? (begin + page - 1) / page * page : begin / page * page;
    if (whole_pages) end = end / page * page;
    if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0) return failed(path, errno);
    struct stat info {};
    if (::fstat(file.fd, &info) != 0) return failed(path, errno);
    if (S_ISDIR(info.st_mode)) return Error{Code::io, path.string() + ": is a folder, not a file"};
    if (!S_ISREG(info.st_mode)) return Error{Code::io, path.string() + ": is not a regular file"};
    if (info.st_size == 0) return Error{Code::bad_format, path.string() + ": the file is empty"};
    const auto size = static_cast<std::size_t>(info.st_size);
    void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (address == MAP_FAILED) return failed(path, errno);
    MappedFile mapped;
    mapped.path_ = path;
    mapped.bytes_ = {static_cast<const std::byte*>(address), size};
    return mapped;
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::will_need(std::span<const std::byte> part) const {
    advise(part, MADV_WILLNEED, false);
}

void MappedFile::done_with(std::span<const std::byte> part) const {
    advise(part, MADV_DONTNEED, true);
}

}  // namespace pumice
