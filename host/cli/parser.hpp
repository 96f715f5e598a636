// How commands take their words from CLI11: what the files of the command line share, and nobody else includes.
#pragma once

#include <optional>
#include <string>
#include <type_traits>

#include <CLI/CLI.hpp>

namespace pumice::cli {

/// An option whose value is looked at later: CLI11 finds the words, the limits and messages are those of the settings.
struct Given {
    CLI::Option* option;
    /// The last one given counts.
    std::optional<std::string> text() const {
        if (option->count() == 0) return std::nullopt;
        return option->results().back();
    }
};

inline Given add(CLI::App& app, const char* names) {
    static_assert(std::is_same_v<std::string, CLI::results_t::value_type>);
    return {app.add_option(names)->expected(1)->type_size(1)->take_last()};
}

/// One that may be given several times.
inline Given add_all(CLI::App& app, const char* names) {
    return {app.add_option(names)->expected(1)->type_size(1)->take_all()};
}

/// The options and the commands of one program or command.
struct Parser {
    CLI::App* app;
    bool help = false;
    explicit Parser(CLI::App* to) : app(to) {
        app->set_help_flag();
        app->allow_extras();
        app->add_flag("-h,--help", help);
    }
    Parser(const Parser&) = delete;
};

}  // namespace pumice::cli
