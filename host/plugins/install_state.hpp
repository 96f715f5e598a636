// What a user decided about plugins, kept beside the installed ones: .state.toml in the folder of plugins.
//
//     disabled = ["org.example.golden_ratio"]
//
//     [keys]                                            # who may update what; kept when a plugin is removed
//     "org.example.golden_ratio" = "ed25519:…"
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "plugins/signature.hpp"

namespace pumice::host {

struct PluginState {
    std::set<std::string> disabled;         ///< ids; plugins that did not come as packages too
    std::map<std::string, PublicKey> keys;  ///< pinned, by id

    bool operator==(const PluginState&) const = default;
};

/// Of the folder of plugins; empty where there is no file. PUMICE_IO, and PUMICE_BAD_FORMAT for a damaged file: it is
/// never taken for an empty one, since then any key would be trusted again.
Expected<PluginState> read_state(const std::filesystem::path& plugins);
Expected<PluginState> parse_state(std::string_view toml, const std::string& file_name);

/// In one step. PUMICE_IO.
Expected<void> write_state(const std::filesystem::path& plugins, const PluginState&);

}  // namespace pumice::host
