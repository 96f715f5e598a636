// The configuration file, TOML 1.0.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.hpp"

namespace pumice::host {

/// Settings by their keys (all_settings). Anything else is an error that names file, line and key, and the key that was
/// probably meant: PUMICE_BAD_FORMAT for what is no TOML, PUMICE_INVALID_ARGUMENT for an unknown key, a wrong type or a
/// value out of range. `file_name` is for messages.
Expected<Settings> parse_config(std::string_view toml, const std::string& file_name);

/// Reads and parses. "~" in paths is the home folder, and paths.* that are not absolute are relative to the file's
/// folder. PUMICE_NOT_FOUND, PUMICE_IO, and as parse_config.
Expected<Settings> read_config(const std::filesystem::path&, const std::string& home);

/// Where configuration lies, by the XDG Base Directory Specification 0.8: variables that are not absolute paths are
/// ignored.
struct Places {
    std::string home;                      ///< empty: not known
    std::string config_home;               ///< $XDG_CONFIG_HOME, or ~/.config
    std::vector<std::string> config_dirs;  ///< $XDG_CONFIG_DIRS, or /etc/xdg
    std::string cache_home;                ///< $XDG_CACHE_HOME, or ~/.cache
    std::string data_home;                 ///< $XDG_DATA_HOME, or ~/.local/share
    std::string state_home;                ///< $XDG_STATE_HOME, or ~/.local/state
};
Places places_from_environment(const char* (*get)(const char*));

/// The first of config_home/pumice/config.toml and each config_dirs/pumice/config.toml that exists.
std::optional<std::filesystem::path> find_config(const Places&);

}  // namespace pumice::host
