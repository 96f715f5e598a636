// plugin.toml: what a package says of itself.
//
//     id = "org.example.golden_ratio"
//     name = "Golden ratio"
//     version = "1.2.0"
//     vendor = "Ada Example"
//     licence = "MIT"                                   # SPDX
//     sdk = 1                                           # the SDK revision it was built with
//     extensions = ["pumice.sampler/1"]
//     files = ["LICENSE", "shaders/blur.comp"]          # everything that is no library
//
//     [libraries.linux-x86_64]                          # a table for each platform there is a library for
//     file = "golden_ratio.so"
//     sha256 = "…"                                      # `pumice plugins pack` fills it in
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/package_outcome.hpp"
#include "plugins/package_version.hpp"

namespace pumice::host {

inline constexpr std::string_view kDescriptionFile = "plugin.toml";

struct PackageLibrary {
    std::string file;
    std::string sha256;  ///< 64 digits; empty: not packed yet
};

struct PackageDescription {
    std::string id;  ///< is_plugin_id
    std::string name;
    Version version;
    std::string vendor, licence;
    std::uint32_t sdk = 0;
    std::vector<std::string> extensions;              ///< one at least; "name/revision"
    std::map<std::string, PackageLibrary> libraries;  ///< by platform, one at least
    std::vector<std::string> files;                   ///< without libraries, without plugin.toml
};

enum class Hashes : std::uint8_t {
    required,  ///< in a package
    optional,  ///< in a folder that is to become one
};

/// `file_name` is for messages: "FILE:LINE: KEY: what is wrong". Names of files are as check_path allows, and no two
/// are one. PUMICE_BAD_FORMAT, with the Refusal that check_path gives or Refusal::duplicate, else Refusal::none.
Packaged<PackageDescription> parse_description(std::string_view toml, const std::string& file_name, Hashes);

/// The text that parse_description gives the same from: for one description always the same bytes.
std::string format_description(const PackageDescription&);

/// "linux-x86_64": what this program was built for; "" if packages know no name for it.
std::string_view host_platform();

}  // namespace pumice::host
