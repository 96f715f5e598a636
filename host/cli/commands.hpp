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
Expected<void> run_plugins_list(const Context&);
/// Enables or disables context.line.plugin.
Expected<void> run_plugins_set(const Context&, bool enabled);

/// Holds a plugin against the plugin interface; the exit status, what was wrong being said.
Expected<int> run_plugins_verify(const Context&);

/// The plugins of this user: in PUMICE_PLUGIN_PATH, paths.plugins, the user's data folder, and beside the program.
/// Warnings go to stderr.
Expected<Plugins> find_plugins(const Context&);
/// The sampler and the schedule of the settings are among those there are: PUMICE_INVALID_ARGUMENT, one line.
Expected<void> check_plugin_names(const Context&, const Plugins&);
/// The parameters for a request with these names of sampler and schedule: what the command line gives, and of what the
/// file gives that which they have. PUMICE_INVALID_ARGUMENT for one in the file that nothing has.
Expected<std::vector<std::string>> plugin_params(const Context&, const Plugins&, const Request&);

/// "1.5 GiB", "38.2 MiB", "616 bytes".
std::string size_text(std::uint64_t bytes);
/// "1.3.239" of a version as Vulkan packs it.
std::string vulkan_text(std::uint32_t version);

}  // namespace pumice::cli
