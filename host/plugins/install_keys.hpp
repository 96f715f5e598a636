// Whose key may update which plugin: .keys.toml in the folder of plugins.
//
//     "org.example.golden_ratio" = "ed25519:…"
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "plugins/signature.hpp"

namespace pumice::host {

/// By the id of the package. A removed plugin's key stays.
using PinnedKeys = std::map<std::string, PublicKey>;

/// Of the folder of plugins; empty where there is no file. PUMICE_IO, and PUMICE_BAD_FORMAT for a damaged file: it is
/// never taken for an empty one, since then any key would be trusted again.
Expected<PinnedKeys> read_keys(const std::filesystem::path& plugins);
/// `file_name` is for messages.
Expected<PinnedKeys> parse_keys(std::string_view toml, const std::string& file_name);

/// In one step; no keys, no file. PUMICE_IO.
Expected<void> write_keys(const std::filesystem::path& plugins, const PinnedKeys&);

}  // namespace pumice::host
