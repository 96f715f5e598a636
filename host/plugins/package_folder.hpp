// Reading what lies in a folder, without following links out of it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "plugins/package_descriptor.hpp"
#include "plugins/package_zip.hpp"

namespace pumice::host {

/// An open folder.
class PackageFolder {
public:
    /// PUMICE_NOT_FOUND, PUMICE_IO.
    static Expected<PackageFolder> open(const std::filesystem::path&);
    /// `path` as check_path allows it. Nothing if there is no such file. Refusal::link when it or a folder before it is
    /// a link, or it is no plain file; Refusal::too_large above `most` bytes. PUMICE_IO.
    Packaged<std::optional<Bytes>> read(const std::string& path, std::size_t most) const;

private:
    PackageFolder(FileDescriptor descriptor, std::string name)
        : descriptor_(std::move(descriptor)), name_(std::move(name)) {}
    FileDescriptor descriptor_;
    std::string name_;  ///< for messages
};

/// The bytes of a file that is no folder. PUMICE_NOT_FOUND, PUMICE_IO, Refusal::too_large.
Packaged<Bytes> read_bytes(const std::filesystem::path&, std::size_t most);

}  // namespace pumice::host
