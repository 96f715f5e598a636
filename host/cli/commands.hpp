// The commands. Each prints its result on stdout and gives a failure for main to print.
#pragma once

#include "cli/command_line.hpp"
#include "config/config_file.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// Settings from flags, environment and file together, and the places of this user.
struct Context {
    CommandLine line;
    host::Settings settings;
    host::Places places;
};

Expected<void> run_generate(const Context&);
Expected<void> run_devices(const Context&);
Expected<void> run_inspect(const Context&);
Expected<void> run_version();

/// "1.5 GiB", "38.2 MiB", "616 bytes".
std::string size_text(std::uint64_t bytes);
/// "1.3.239" of a version as Vulkan packs it.
std::string vulkan_text(std::uint32_t version);

}  // namespace pumice::cli
