// pumice bench, as it is typed.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cli/command_line.hpp"
#include "cli/parser.hpp"
#include "outcome.hpp"

namespace pumice::cli {

struct BenchCommands {
    CommandLine& line;
    Parser bench;
    Given model, control, only, repeats, device, precision, json, html, config;
    Parser compare;
    Given compare_html;
    BenchCommands(CLI::App& program, CommandLine&);
    /// With the names of their helps, the inner one first.
    std::vector<std::pair<const Parser*, const char*>> parsers() const;
    /// A word that none of them takes: those of compare that are no options are files.
    std::optional<std::pair<const Parser*, std::string>> unexpected() const;
    /// Whether one of them was given; it is then in the command line.
    Expected<bool> read();
};

}  // namespace pumice::cli
