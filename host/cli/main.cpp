#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/exit_codes.hpp"
#include "cli/help.hpp"
#include "cli/plugins_package.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

const char* get_variable(const char* name) {
    return std::getenv(name);
}

/// The file given on the command line or in the environment must exist; the usual one may.
Expected<host::Settings> file_settings(const CommandLine& line, const host::Places& places) {
    if (line.config) return host::read_config(*line.config, places.home);
    if (const char* named = get_variable("PUMICE_CONFIG"); named && *named)
        return host::read_config(named, places.home);
    if (const auto usual = host::find_config(places)) return host::read_config(*usual, places.home);
    return host::Settings{};
}

Expected<Context> context_of(CommandLine line) {
    const host::Places places = host::places_from_environment(get_variable);
    HOST_ASSIGN(const host::Settings file, file_settings(line, places));
    HOST_ASSIGN(const host::Settings environment, host::settings_from_environment(get_variable));
    host::Settings settings = host::overlay(line.settings, host::overlay(environment, file));
    if (!settings.cache_folder && !places.cache_home.empty()) settings.cache_folder = places.cache_home + "/pumice";
    return Context{std::move(line), std::move(settings), places};
}

/// The names of samplers and schedules are the plugins' to tell; help does not fail where they cannot be had.
Expected<void> print_help(const CommandLine& line) {
    if (line.help_of != "generate" && line.help_of != "upscale" && line.help_of != "preprocess") {
        fmt::print("{}", help_text(line.help_of));
        return {};
    }
    const Expected<Context> context = context_of(line);
    const Expected<Plugins> plugins =
        find_plugins(context ? *context : Context{line, {}, host::places_from_environment(get_variable)});
    const std::vector<std::string_view> none = {"see pumice plugins list"};
    fmt::print("{}", plugins ? help_text(line.help_of, {plugins->samplers(), plugins->schedules(), plugins->guidances(),
                                                        plugins->upscalers(), plugins->preprocessors(),
                                                        plugins->image_filters()})
                             : help_text(line.help_of, {none, none, none, none, none, none}));
    return {};
}

Expected<void> run(const CommandLine& line, const Context& context) {
    switch (line.command) {
        case CommandLine::Command::generate:
            return run_generate(context);
        case CommandLine::Command::upscale:
            return run_upscale(context);
        case CommandLine::Command::preprocess:
            return run_preprocess(context);
        case CommandLine::Command::plugins_list:
            return run_plugins_list(context);
        case CommandLine::Command::plugins_enable:
        case CommandLine::Command::plugins_disable:
            return run_plugins_set(context, line.command == CommandLine::Command::plugins_enable);
        case CommandLine::Command::inspect:
            return run_inspect(context);
        case CommandLine::Command::convert:
        case CommandLine::Command::bake_vae:
            return run_convert(context);
        case CommandLine::Command::merge:
            return run_merge(context);
        case CommandLine::Command::bake_lora:
            return run_bake_lora(context);
        case CommandLine::Command::extract_lora:
            return run_extract_lora(context);
        case CommandLine::Command::plan:
            return run_plan(context);
        case CommandLine::Command::info:
            return run_info(context);
        case CommandLine::Command::models_list:
            return run_models_list(context);
        case CommandLine::Command::models_verify:
            return run_models_verify(context);
        case CommandLine::Command::bench:
            return run_bench(context);
        case CommandLine::Command::bench_compare:
            return run_bench_compare(context);
        default:
            return {};
    }
}

/// The exit status.
Expected<int> run(int argc, const char* const* argv) {
    HOST_ASSIGN(const CommandLine line, parse_command_line(argc, argv));
    if (line.command == CommandLine::Command::help) {
        HOST_TRY(print_help(line));
        return 0;
    }
    if (line.command == CommandLine::Command::version) {
        HOST_TRY(run_version());
        return 0;
    }
    if (line.command == CommandLine::Command::devices) {
        HOST_TRY(run_devices(Context{line, {}, {}}));
        return 0;
    }
    HOST_ASSIGN(const Context context, context_of(line));
    if (line.command == CommandLine::Command::plugins_verify) return run_plugins_verify(context);
    HOST_TRY(run(line, context));
    return 0;
}

/// What was printed must have arrived: a full disk behind a redirection is an error like any other.
Expected<void> flush_output() {
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return {};
    return Failure{PUMICE_IO, "cannot write to standard output; is the disk full?"};
}

}  // namespace
}  // namespace pumice::cli

int main(int argc, char** argv) {
    using namespace pumice;
    // Then a file that grows past ulimit -f is an error that can be told, not the end.
    std::signal(SIGXFSZ, SIG_IGN);
    Expected<int> outcome = 0;
    try {
        if (cli::is_package_command(argc, argv)) return cli::run_package_command(argc, argv, cli::get_variable);
        outcome = cli::run(argc, argv);
        if (Expected<void> flushed = cli::flush_output(); outcome && !flushed) outcome = flushed.failure();
    } catch (const std::bad_alloc&) {
        outcome = Failure{PUMICE_OUT_OF_HOST_MEMORY, "out of memory"};
    } catch (const std::exception& e) {
        outcome = Failure{PUMICE_INTERNAL, fmt::format("a bug of Pumice: {}", e.what())};
    }
    if (outcome) return *outcome;
    fmt::print(stderr, "pumice: {}\n", outcome.failure().message);
    return cli::exit_code(outcome.failure().status);
}
