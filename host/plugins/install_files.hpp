// How the folder of plugins changes in one step: the lock, unpacking beside, swapping, and cleaning up after programs
// that were interrupted.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "plugins/package_descriptor.hpp"
#include "plugins/package_zip.hpp"

namespace pumice::host {

/// The folder of plugins, locked against other programs and threads that change it, until this ends.
class LockedPlugins {
public:
    /// Makes the folder if there is none, and cleans up. Refusal::busy when the lock is not free within `wait`;
    /// PUMICE_IO.
    static Packaged<LockedPlugins> open(const std::filesystem::path& folder, std::chrono::milliseconds wait);

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path plugin(const std::string& id) const { return folder_ / id; }
    bool has(const std::string& id) const;

    /// `files` to FOLDER/ID, replacing what is there. PUMICE_IO, and then nothing is changed.
    Expected<void> put(const std::string& id, const PackageFiles& files) const;
    /// PUMICE_IO, and then nothing is changed.
    Expected<void> remove(const std::string& id) const;

private:
    LockedPlugins(std::filesystem::path folder, FileDescriptor lock)
        : folder_(std::move(folder)), lock_(std::move(lock)) {}
    Expected<void> clean_up() const;
    Expected<void> swap(const std::filesystem::path& fresh, const std::string& id) const;

    std::filesystem::path folder_;
    FileDescriptor lock_;
};

}  // namespace pumice::host
