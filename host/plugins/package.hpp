// A package of a plugin: a zip (.pumice) of plugin.toml, the files it names, and perhaps a signature.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "plugins/package_toml.hpp"
#include "plugins/package_zip.hpp"
#include "plugins/signature.hpp"

namespace pumice::host {

/// One that holds together: every file that plugin.toml names is there and no other, the hashes are right, and so is
/// the signature if there is one.
struct Package {
    PackageDescription description;
    PackageFiles files;                  ///< plugin.toml and plugin.sig too
    std::optional<PublicKey> signed_by;  ///< empty: not signed
};

/// From the bytes of a .pumice file; `name` is for messages. What read_zip, parse_description and verify refuse, and
/// Refusal::missing, unlisted and hash.
Packaged<Package> read_package(std::span<const std::uint8_t> zip, const std::string& name);

/// From a file, or from a folder with a plugin.toml, of which only what that names is taken (folders of a project hold
/// much else). In a folder that has a plugin.sig everything is checked as in a package; in one without, hashes are not
/// needed: they are filled in. Links are refused in it. PUMICE_NOT_FOUND, PUMICE_IO.
Packaged<Package> load_package(const std::filesystem::path&);

/// The bytes of a .pumice file with the files of a folder, as load_package takes them, but signed anew by `key`, or not
/// at all. The same bytes for the same files and key. What a package of these files would be refused for is refused
/// here.
Packaged<Bytes> pack_folder(const std::filesystem::path& folder, const SecretKey* key);

}  // namespace pumice::host
