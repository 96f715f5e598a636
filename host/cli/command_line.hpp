// What was typed.
#pragma once

#include <optional>
#include <string>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

struct CommandLine {
    enum class Command {
        help,
        version,
        generate,
        devices,
        inspect,
        plugins_list,
        plugins_enable,
        plugins_disable,
        plugins_verify
    } command = Command::help;
    std::string help_of;      ///< Command::help: "", "generate", "devices", "models", "inspect", "plugins", "verify"
    host::Settings settings;  ///< of generate
    std::optional<std::string> prompt;
    std::optional<std::string> output;  ///< -o
    std::optional<std::string> config;  ///< --config
    std::string file;                   ///< of inspect
    std::string plugin;                 ///< id, of plugins enable and disable; file, folder or id, of plugins verify
    double seconds = 0;                 ///< of plugins verify: how long a check may take; 0: as usual
    bool json = false, quiet = false;
    bool safe_mode = false;    ///< the plugins that come with Pumice alone
    bool probe_again = false;  ///< of plugins list
    bool params = false;       ///< of plugins list: each parameter on a line of its own
};

/// PUMICE_INVALID_ARGUMENT with one line.
Expected<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace pumice::cli
