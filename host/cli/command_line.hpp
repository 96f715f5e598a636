// What was typed.
#pragma once

#include <optional>
#include <string>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

struct CommandLine {
    enum class Command { help, version, generate, devices, inspect } command = Command::help;
    std::string help_of;      ///< Command::help: "", "generate", "devices", "models", "inspect"
    host::Settings settings;  ///< of generate
    std::optional<std::string> prompt;
    std::optional<std::string> output;  ///< -o
    std::optional<std::string> config;  ///< --config
    std::string file;                   ///< of inspect
    bool json = false, quiet = false;
};

/// PUMICE_INVALID_ARGUMENT with one line.
Expected<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace pumice::cli
