#include "plugins/marker.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "plugins/check.hpp"

namespace pumice::plugins {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kSize = 128;  ///< '0' or '1', the plugin's id, a 0
constexpr const char* kPrefix = "plugin-running-";

}  // namespace

Marker::Marker(const fs::path& folder, const std::string& plugin) {
    if (folder.empty()) return;
    std::error_code error;
    fs::create_directories(folder, error);
    std::string name = (folder / (std::string(kPrefix) + "XXXXXX")).string();
    descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor_ < 0) return;
    file_ = name;
    std::array<char, kSize> content{'0'};
    plugin.copy(content.data() + 1, kSize - 2);
    // Before it has content nobody takes it for another's; from the lock on it is this process'.
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 ||
        ::write(descriptor_, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        return;
    void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<volatile char*>(memory);
}

Marker::~Marker() {
    if (memory_) ::munmap(const_cast<char*>(memory_), kSize);
    if (!file_.empty()) ::unlink(file_.c_str());
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::vector<std::string> take_crashed(const fs::path& folder) {
    std::vector<std::string> crashed;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
        const int file = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (file < 0) continue;
        struct stat s {};
        if (::fstat(file, &s) == 0 && S_ISREG(s.st_mode) && ::flock(file, LOCK_EX | LOCK_NB) == 0) {
            std::array<char, kSize> content{};
            const ssize_t got = ::read(file, content.data(), content.size() - 1);
            // An id, or a damaged file.
            if (got == static_cast<ssize_t>(kSize) - 1 && content[0] == '1' && is_id(content.data() + 1))
                crashed.emplace_back(content.data() + 1);
            ::unlink(entry.path().c_str());
        }
        ::close(file);
    }
    return crashed;
}

}  // namespace pumice::plugins
