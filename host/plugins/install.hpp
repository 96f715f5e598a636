// The folder of installed plugins.
//
//     FOLDER/ID/          one package: its files, plugin.toml and plugin.sig too, without other machines' libraries
//     FOLDER/.keys.toml   whose key may update what (install_keys.hpp)
//     FOLDER/.lock        held by the one program that changes something here
//     FOLDER/.new-…       being unpacked; FOLDER/.old-ID, FOLDER/.gone-…: being replaced or removed
//
// A plugin's folder appears, is replaced and disappears in one step. What starts with a dot is no plugin. Whoever loads
// plugins asks installed_plugins, and needs no lock. All functions here may be called on any thread and in several
// programs at once.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/config_file.hpp"
#include "plugins/install_keys.hpp"
#include "plugins/package.hpp"
#include "pumice/sdk/version.h"

namespace pumice::host {

/// What this program's SDK is: packages are made for one, their `sdk`.
inline constexpr std::uint32_t kSdkRevision = PUMICE_SDK_ABI_MAJOR;

/// pumice/plugins in the folder of the user's data; nothing when that is not known.
std::optional<std::filesystem::path> installed_plugins_folder(const Places&);

struct InstalledPlugin {
    std::string id;                  ///< the folder's name
    std::filesystem::path folder;    ///< its files
    PackageDescription description;  ///< of a broken one: empty
    std::filesystem::path library;   ///< for this machine
    std::string broken;              ///< why it cannot be loaded, one line; empty: it can
};

/// By id. A folder whose plugin.toml cannot be read, bears another id or has no library for this machine is listed as
/// broken. Empty where the folder does not exist; PUMICE_IO only for the folder itself.
Expected<std::vector<InstalledPlugin>> installed_plugins(const std::filesystem::path& folder);

struct InstallOptions {
    bool allow_unsigned = false;
    bool force = false;  ///< an older version may replace a newer one
    std::string_view platform = host_platform();
    std::chrono::milliseconds wait = std::chrono::seconds(10);  ///< for another program that installs
};

struct Installed {
    std::string id, version;
    std::optional<std::string> before;   ///< the version that was replaced
    std::optional<PublicKey> signed_by;  ///< empty: not signed
    bool first_use = false;              ///< its key was pinned now
};

/// Installs or updates: afterwards the new version is there whole, and on disk, or everything is as it was. The folder
/// is made if it is not there. A signed package's key is trusted at first and pinned: from then on packages of this id
/// need a signature by it. Refusal::platform, sdk, no_signature, other_key, downgrade, busy; PUMICE_IO, also
/// when a folder of this id did not come from a package. Whoever was interrupted before is cleaned up after.
Packaged<Installed> install_package(const std::filesystem::path& folder, const Package&, const InstallOptions&);

enum class Key : std::uint8_t { keep, forget };

/// Its pinned key stays unless it is to be forgotten, for which the plugin need not be there any more. PUMICE_NOT_FOUND
/// with the id that was perhaps meant, Refusal::busy, PUMICE_IO.
Packaged<Done> remove_plugin(const std::filesystem::path& folder, const std::string& id, Key,
                             std::chrono::milliseconds wait = std::chrono::seconds(10));

}  // namespace pumice::host
