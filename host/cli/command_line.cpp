#include "cli/command_line.hpp"

#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Command = CommandLine::Command;

/// An option whose value is looked at later: CLI11 finds the words, the limits and messages are those of the settings.
struct Given {
    CLI::Option* option;
    /// The last one given counts.
    std::optional<std::string> text() const {
        if (option->count() == 0) return std::nullopt;
        return option->results().back();
    }
};

Given add(CLI::App& app, const char* names) {
    static_assert(std::is_same_v<std::string, CLI::results_t::value_type>);
    return {app.add_option(names)->expected(1)->type_size(1)->take_last()};
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

struct Generate : Parser {
    CommandLine& line;
    std::vector<std::pair<const char*, Given>> settings;
    Given prompt, output, config, params;
    explicit Generate(CLI::App& program, CommandLine& to)
        : Parser(program.add_subcommand("generate")),
          line(to),
          prompt(add(*app, "-p,--prompt")),
          output(add(*app, "-o,--output")),
          config(add(*app, "--config")),
          params{app->add_option("--plugin-param")->expected(1)->type_size(1)->take_all()} {
        for (const auto& [name, names] : {std::pair{"--model", "-m,--model"},
                                          {"--vae", "--vae"},
                                          {"--text-encoder", "--text-encoder"},
                                          {"--negative", "-n,--negative"},
                                          {"--width", "-W,--width"},
                                          {"--height", "-H,--height"},
                                          {"--steps", "--steps"},
                                          {"--cfg", "--cfg"},
                                          {"--sampler", "--sampler"},
                                          {"--schedule", "--schedule"},
                                          {"--seed", "--seed"},
                                          {"--rng", "--rng"},
                                          {"--batch", "-b,--batch"},
                                          {"--clip-skip", "--clip-skip"},
                                          {"--device", "--device"},
                                          {"--precision", "--precision"}})
            settings.emplace_back(name, add(*app, names));
        app->add_flag("--json", line.json);
        app->add_flag("-q,--quiet", line.quiet);
        app->add_flag("--safe-mode", line.safe_mode);
    }

    Expected<void> read_params() {
        for (const std::string& text : params.option->results()) {
            const std::size_t equals = text.find('=');
            if (equals == std::string::npos || equals == 0)
                return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("--plugin-param: {} is not KIND.NAME=VALUE, as "
                                                                    "sampler.eta=0.5",
                                                                    host::shown(text))};
            line.settings.given_plugin_params[text.substr(0, equals)] = text.substr(equals + 1);
        }
        return {};
    }

    Expected<void> read() {
        line.command = Command::generate;
        line.prompt = prompt.text();
        line.output = output.text();
        line.config = config.text();
        for (const auto& [name, given] : settings)
            if (const auto text = given.text())
                HOST_TRY(host::set_from_text(line.settings, *host::find_flag(name), *text, name));
        HOST_TRY(read_params());
        if (!line.prompt)
            return Failure{PUMICE_INVALID_ARGUMENT, "generate needs a prompt: -p \"what the picture shows\""};
        return {};
    }
};

Failure unexpected(const CLI::App& app, const std::string& word) {
    std::vector<std::string> names;
    const bool option = word.size() > 1 && word[0] == '-';
    if (option)
        for (const CLI::Option* each : app.get_options())
            for (const std::string& name : each->get_lnames()) names.push_back("--" + name);
    else
        for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(each->get_name());
    std::vector<std::string_view> words(names.begin(), names.end());
    const char* what = option ? "option" : words.empty() ? "argument" : "command";
    const std::string given = option ? word.substr(0, word.find('=')) : word;
    const std::string hint = host::did_you_mean(given, words);
    return {PUMICE_INVALID_ARGUMENT, fmt::format("{} takes no {} {}{}", app.get_name(), what, given.substr(0, 80),
                                                 hint.empty() ? "; see --help" : hint)};
}

/// CLI11's own errors: with the options declared here only a missing value can be the cause.
Failure missing_value(const CLI::ParseError& error) {
    const std::string text = error.what();
    const std::size_t colon = text.find(':');
    if (colon != std::string::npos && text.compare(0, 1, "-") == 0)
        return {PUMICE_INVALID_ARGUMENT, fmt::format("{} needs a value", text.substr(0, colon))};
    return {PUMICE_INVALID_ARGUMENT, text.substr(0, text.find('\n'))};
}

struct Program {
    CLI::App app{"", "pumice"};
    CommandLine line;
    bool version = false;
    Parser root{&app};
    Generate generate{app, line};
    Parser devices{app.add_subcommand("devices")};
    Parser models{app.add_subcommand("models")};
    Parser inspect{models.app->add_subcommand("inspect")};
    Given inspect_config = add(*inspect.app, "--config");
    Given inspect_file = add(*inspect.app, "file");
    Parser plugins{app.add_subcommand("plugins")};
    Parser plugins_list{plugins.app->add_subcommand("list")};
    Parser plugins_enable{plugins.app->add_subcommand("enable")};
    Parser plugins_disable{plugins.app->add_subcommand("disable")};
    Given enable_id = add(*plugins_enable.app, "id");
    Given disable_id = add(*plugins_disable.app, "id");
    Given list_config = add(*plugins_list.app, "--config");

    Program() {
        app.add_flag("-V,--version", version);
        devices.app->add_flag("--json", line.json);
        inspect.app->add_flag("--json", line.json);
        plugins_list.app->add_flag("--json", line.json);
        plugins_list.app->add_flag("--safe-mode", line.safe_mode);
        plugins_list.app->add_flag("--probe", line.probe_again);
    }

    Expected<CommandLine> read() {
        if (version) return of(Command::version);
        const std::pair<const Parser*, const char*> inner_first[] = {
            {&inspect, "inspect"},         {&models, "models"},        {&devices, "devices"},
            {&generate, "generate"},       {&plugins_list, "plugins"}, {&plugins_enable, "plugins"},
            {&plugins_disable, "plugins"}, {&plugins, "plugins"},      {&root, ""}};
        for (const auto& [parser, name] : inner_first)
            if (parser->help) return help_of(name);
        for (const auto& [parser, name] : inner_first)
            if (const auto rest = parser->app->remaining(); !rest.empty())
                return unexpected(*parser->app, rest.front());
        if (generate.app->parsed()) {
            HOST_TRY(generate.read());
            return line;
        }
        if (devices.app->parsed()) return of(Command::devices);
        if (inspect.app->parsed()) {
            if (!inspect_file.text()) return Failure{PUMICE_INVALID_ARGUMENT, "models inspect needs a file"};
            line.file = *inspect_file.text();
            line.config = inspect_config.text();
            return of(Command::inspect);
        }
        if (plugins.app->parsed()) return read_plugins();
        return help_of(models.app->parsed() ? "models" : "");
    }

    Expected<CommandLine> read_plugins() {
        line.config = list_config.text();
        if (plugins_list.app->parsed()) return of(Command::plugins_list);
        for (const auto& [parser, id, command] :
             {std::tuple{&plugins_enable, &enable_id, Command::plugins_enable},
              std::tuple{&plugins_disable, &disable_id, Command::plugins_disable}}) {
            if (!parser->app->parsed()) continue;
            if (!id->text())
                return Failure{PUMICE_INVALID_ARGUMENT,
                               fmt::format("plugins {} needs a plugin's id", parser->app->get_name())};
            line.plugin = *id->text();
            return of(command);
        }
        return help_of("plugins");
    }

    CommandLine of(Command command) {
        line.command = command;
        return line;
    }
    CommandLine help_of(const char* name) {
        line.help_of = name;
        return of(Command::help);
    }
};

}  // namespace

Expected<CommandLine> parse_command_line(int argc, const char* const* argv) {
    // CLI11 reports by exception; this is the only place that sees one.
    try {
        Program program;
        program.app.parse(argc, argv);
        return program.read();
    } catch (const CLI::ParseError& error) {
        return missing_value(error);
    }
}

}  // namespace pumice::cli
