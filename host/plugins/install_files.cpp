#include "plugins/install_files.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kNew = ".new-", kGone = ".gone-", kOld = ".old-";

Failure cannot(const char* what, const fs::path& file, int number) {
    const char* advice = number == ENOSPC || number == EDQUOT ? "; make room on this disk"
                         : number == EFBIG                    ? "; see ulimit -f"
                         : number == EACCES || number == EPERM || number == EROFS
                             ? "; check the permissions, or set XDG_DATA_HOME to another folder"
                             : "";
    return {PUMICE_IO, fmt::format("cannot {} {}: {}{}", what, file.string(), std::strerror(number), advice)};
}

/// A file system that cannot sync folders is no reason to fail; one that fails to is.
int sync_folder(const fs::path& folder) {
    const FileDescriptor open(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!open) return errno;
    return ::fsync(open.get()) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

int write_new(const fs::path& file, const Bytes& bytes) {
    const FileDescriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!out) return errno;
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t written = ::write(out.get(), bytes.data() + at, bytes.size() - at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        at += static_cast<std::size_t>(written);
    }
    return ::fsync(out.get()) == 0 ? 0 : errno;
}

/// A folder that is removed with all it holds unless it was given away.
class Staging {
public:
    explicit Staging(fs::path path) : path_(std::move(path)) {}
    ~Staging() {
        std::error_code ignored;  // what stays is cleaned up by the next who installs
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

private:
    fs::path path_;
};

Expected<void> unpack(const fs::path& to, const PackageFiles& files) {
    std::set<fs::path> folders = {to};
    for (const auto& [name, bytes] : files) {
        const fs::path file = to / name;
        fs::path folder = to;
        for (const fs::path& part : fs::path(name).parent_path()) {
            folder /= part;
            if (folders.insert(folder).second && ::mkdir(folder.c_str(), 0755) != 0)
                return cannot("make the folder", folder, errno);
        }
        if (const int number = write_new(file, bytes)) return cannot("write", file, number);
    }
    // The innermost first, so that what a folder names is on disk before the folder is.
    for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
        if (const int number = sync_folder(*folder)) return cannot("sync", *folder, number);
    return {};
}

/// A new empty folder in `parent`.
Expected<fs::path> make_folder(const fs::path& parent, std::string_view start) {
    std::string name = (parent / start).string() + "XXXXXX";
    if (!::mkdtemp(name.data())) return cannot("write to", parent, errno);
    if (::chmod(name.c_str(), 0755) != 0) return cannot("write to", name, errno);
    return fs::path(name);
}

/// Exchanges two folders in one step; ENOSYS where the system cannot.
int exchange(const fs::path& a, const fs::path& b) {
#ifdef RENAME_EXCHANGE
    if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return 0;
    return errno == EINVAL ? ENOSYS : errno;
#else
    (void)a, (void)b;
    return ENOSYS;
#endif
}

/// 0 when it got it; EWOULDBLOCK when it is held for longer than `wait`.
int lock(int descriptor, std::chrono::milliseconds wait) {
    const auto end = std::chrono::steady_clock::now() + wait;
    for (;;) {
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return 0;
        if (errno != EWOULDBLOCK && errno != EINTR) return errno;
        if (std::chrono::steady_clock::now() >= end) return EWOULDBLOCK;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

}  // namespace

Packaged<LockedPlugins> LockedPlugins::open(const fs::path& folder, std::chrono::milliseconds wait) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return cannot("make the folder of plugins", folder, error.value());
    const fs::path file = folder / ".lock";
    FileDescriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!descriptor) return cannot("write", file, errno);
    if (const int number = lock(descriptor.get(), wait); number == EWOULDBLOCK)
        return PackageFailure(
            Refusal::busy,
            fmt::format("another program changes the plugins in {}; try again when it is done", folder.string()),
            PUMICE_IO);
    else if (number != 0)
        return cannot("lock", file, number);
    LockedPlugins locked(folder, std::move(descriptor));
    HOST_TRY(locked.clean_up());
    return locked;
}

bool LockedPlugins::has(const std::string& id) const {
    struct stat status {};
    return ::lstat(plugin(id).c_str(), &status) == 0;
}

/// Nobody else is at work, for the lock is held: what lies here was left by a program that was interrupted.
Expected<void> LockedPlugins::clean_up() const {
    std::error_code error;
    std::vector<fs::path> names;
    for (auto each = fs::directory_iterator(folder_, error); !error && each != fs::directory_iterator();
         each.increment(error))
        names.push_back(each->path());
    if (error) return cannot("read the folder of plugins", folder_, error.value());
    for (const fs::path& path : names) {
        const std::string name = path.filename().string();
        const bool old = name.starts_with(kOld);
        if (!old && !name.starts_with(kNew) && !name.starts_with(kGone)) continue;
        const std::string id = old ? name.substr(kOld.size()) : "";
        if (old && !has(id)) {
            if (::rename(path.c_str(), plugin(id).c_str()) != 0) return cannot("put back", plugin(id), errno);
        } else if (fs::remove_all(path, error); error) {
            return cannot("remove", path, error.value());
        }
    }
    return {};
}

Expected<void> LockedPlugins::put(const std::string& id, const PackageFiles& files) const {
    HOST_ASSIGN(const fs::path fresh, make_folder(folder_, kNew));
    const Staging staging(fresh);  // after an exchange it holds the old version
    HOST_TRY(unpack(fresh, files));
    return swap(fresh, id);
}

Expected<void> LockedPlugins::swap(const fs::path& fresh, const std::string& id) const {
    const fs::path target = plugin(id), old = folder_ / (std::string(kOld) + id);
    int number = has(id) ? exchange(fresh, target) : ENOSYS;
    if (number == ENOSYS) {
        // Two steps; between them clean_up brings the old version back.
        const bool replaces = has(id);
        if (replaces && ::rename(target.c_str(), old.c_str()) != 0) return cannot("replace", target, errno);
        number = ::rename(fresh.c_str(), target.c_str()) == 0 ? 0 : errno;
        if (number != 0 && replaces && ::rename(old.c_str(), target.c_str()) != 0)
            return cannot("put back", target, errno);
        std::error_code ignored;  // what stays is cleaned up by the next who installs
        if (number == 0 && replaces) fs::remove_all(old, ignored);
    }
    if (number != 0) return cannot("replace", target, number);
    // The new version is there; should its name not survive a loss of power, the old one does.
    (void)sync_folder(folder_);
    return {};
}

Expected<void> LockedPlugins::remove(const std::string& id) const {
    HOST_ASSIGN(const fs::path gone, make_folder(folder_, kGone));
    const Staging staging(gone);
    if (::rename(plugin(id).c_str(), (gone / id).c_str()) != 0) return cannot("remove", plugin(id), errno);
    (void)sync_folder(folder_);
    return {};
}

}  // namespace pumice::host
