#include "cli/plugins_package.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/exit_codes.hpp"
#include "config/suggest.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"
#include "plugins/install.hpp"
#include "plugins/package.hpp"
#include "plugins/package_new.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using host::Done;
using host::Packaged;

constexpr std::string_view kInstall = R"(Install a plugin, or update it.

  pumice plugins install FILE|FOLDER [options]

  FILE                  a package, .pumice
  FOLDER                a folder with a plugin.toml; what that names is installed
      --allow-unsigned  though nobody knows who made it
      --force           an older version in place of a newer one
  -h, --help            this text

The key that signed a plugin is trusted at first, and then only packages signed by it may update the plugin. Plugins go
to $XDG_DATA_HOME/pumice/plugins, or ~/.local/share/pumice/plugins. After an error all is as it was.

Exit status, beside those of `pumice --help`, when the package is refused:
{refusals}
)";

constexpr std::string_view kRemove = R"(Remove an installed plugin.

  pumice plugins remove ID [--forget-key]

      --forget-key  also forget whose key may update it: packages by another key can then be installed
  -h, --help        this text
)";

constexpr std::string_view kPack = R"(Make a package of what plugin.toml in FOLDER names, with the hashes filled in.

  pumice plugins pack FOLDER -o FILE [--key FILE]

  -o, --output FILE  the package, .pumice; an existing file is replaced
      --key FILE     sign with this key (pumice plugins keygen)
  -h, --help         this text
)";

constexpr std::string_view kKeygen = R"(Make a key to sign packages with.

  pumice plugins keygen FILE

Keep FILE secret, and a copy of it safe: whoever has it can update the plugins signed with it, and without it nobody
can. An existing file is never replaced.

  -h, --help  this text
)";

constexpr std::string_view kNew = R"(Write a project to start a plugin from, in a new folder NAME.

  pumice plugins new NAME --kind KIND

  NAME             what users will type: lower-case letters, digits and '_'
      --kind KIND  {kinds}
  -h, --help       this text

It builds with CMake against the installed SDK: cmake -B build && cmake --build build
)";

struct Meaning {
    host::Refusal refusal;
    const char* text;
};
constexpr Meaning kRefusals[] = {
    {host::Refusal::no_signature, "not signed, and --allow-unsigned was not given"},
    {host::Refusal::signature, "a signature that does not fit"},
    {host::Refusal::other_key, "signed by another key than before, or no longer signed"},
    {host::Refusal::downgrade, "older than what is installed"},
    {host::Refusal::platform, "no library for this machine"},
    {host::Refusal::sdk, "made for another revision of the plugin interface"},
    {host::Refusal::hash, "a library that is not the one plugin.toml tells of"},
    {host::Refusal::missing, "a file that plugin.toml names is not there"},
    {host::Refusal::unlisted, "a file that plugin.toml does not name"},
    {host::Refusal::duplicate, "two names that are one where upper and lower case are"},
    {host::Refusal::traversal, "a name that leads out of the package"},
    {host::Refusal::absolute, "an absolute name"},
    {host::Refusal::name, "a name that not every system can hold"},
    {host::Refusal::link, "a link, or something else that is no plain file"},
    {host::Refusal::encrypted, "an encrypted file"},
    {host::Refusal::compression, "compressed otherwise than zip programs usually do"},
    {host::Refusal::too_large, "unpacks to too much"},
    {host::Refusal::busy, "another program changes the plugins"},
};

/// What was typed.
struct Arguments {
    std::string target;  ///< file, folder or id
    std::string output, key, kind;
    bool allow_unsigned = false, force = false, forget_key = false;
    fs::path plugins;  ///< the folder of installed ones; empty: not known
};

Packaged<fs::path> plugins_of(const Arguments& arguments) {
    if (!arguments.plugins.empty()) return arguments.plugins;
    return Failure{PUMICE_NOT_FOUND, "it is not known where plugins lie: set HOME, or XDG_DATA_HOME"};
}

Packaged<Done> install(const Arguments& arguments) {
    HOST_ASSIGN(const fs::path plugins, plugins_of(arguments));
    HOST_ASSIGN(const host::Package package, host::load_package(arguments.target));
    host::InstallOptions options;
    options.allow_unsigned = arguments.allow_unsigned;
    options.force = arguments.force;
    HOST_ASSIGN(const host::Installed done, host::install_package(plugins, package, options));
    fmt::print("installed {} {}{}\n", done.id, done.version,
               done.before ? fmt::format(" in place of {}", *done.before) : "");
    if (done.signed_by)
        fmt::print("signed by {}{}\n", host::key_text(*done.signed_by),
                   done.first_use ? "; from now on only packages by this key can update it" : "");
    else
        fmt::print("not signed: nobody knows who made it\n");
    return Done{};
}

Packaged<Done> remove(const Arguments& arguments) {
    HOST_ASSIGN(const fs::path plugins, plugins_of(arguments));
    HOST_TRY(
        host::remove_plugin(plugins, arguments.target, arguments.forget_key ? host::Key::forget : host::Key::keep));
    fmt::print("removed {}\n", arguments.target);
    return Done{};
}

Packaged<Done> pack(const Arguments& arguments) {
    if (arguments.output.empty())
        return Failure{PUMICE_INVALID_ARGUMENT, "plugins pack needs a name for the package: -o FILE.pumice"};
    HOST_TRY(host::check_writable(arguments.output));
    std::optional<host::SecretKey> key;
    if (!arguments.key.empty()) {
        HOST_ASSIGN(host::SecretKey read, host::SecretKey::read(arguments.key));
        key.emplace(std::move(read));
    }
    HOST_ASSIGN(const host::Bytes zip, host::pack_folder(arguments.target, key ? &*key : nullptr));
    HOST_TRY(host::write_file(arguments.output, zip, host::Existing::replace));
    fmt::print("{}\n", arguments.output);
    if (key)
        fmt::print("signed by {}\n", host::key_text(key->public_key()));
    else
        fmt::print("not signed: installing it needs --allow-unsigned\n");
    return Done{};
}

Packaged<Done> keygen(const Arguments& arguments) {
    HOST_ASSIGN(const host::SecretKey key, host::SecretKey::generate());
    HOST_TRY(key.write(arguments.target));
    fmt::print("{}\n", host::key_text(key.public_key()));
    return Done{};
}

Packaged<Done> start(const Arguments& arguments) {
    if (arguments.kind.empty())
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("plugins new needs to know what for: --kind {}",
                                                            fmt::join(host::project_kinds(), "|"))};
    HOST_TRY(host::write_project(".", arguments.target, arguments.kind));
    fmt::print("{0}/CMakeLists.txt\n{0}/{0}.c\n{0}/plugin.toml\n{0}/LICENSE\n", arguments.target);
    return Done{};
}

struct Command {
    std::string_view name, target, help;
    Packaged<Done> (*run)(const Arguments&);
    std::vector<std::string_view> options;
};

std::span<const Command> commands() {
    static const std::array<Command, 5> kCommands = {{
        {"install", "a package or a folder", kInstall, install, {"--allow-unsigned", "--force"}},
        {"remove", "the id of a plugin", kRemove, remove, {"--forget-key"}},
        {"pack", "a folder", kPack, pack, {"-o,--output", "--key"}},
        {"keygen", "a file to write", kKeygen, keygen, {}},
        {"new", "a name", kNew, start, {"--kind"}},
    }};
    return kCommands;
}

const Command* find_command(int argc, const char* const* argv) {
    if (argc < 3 || std::string_view(argv[1]) != "plugins") return nullptr;
    for (const Command& command : commands())
        if (command.name == argv[2]) return &command;
    return nullptr;
}

void print_help(const Command& command) {
    std::string refusals;
    for (const Meaning& meaning : kRefusals)
        refusals +=
            fmt::format("{}  {:<4}{}", refusals.empty() ? "" : "\n", static_cast<int>(meaning.refusal), meaning.text);
    const std::string kinds = fmt::to_string(fmt::join(host::project_kinds(), ", "));
    fmt::print("{}", fmt::format(fmt::runtime(command.help), fmt::arg("refusals", refusals), fmt::arg("kinds", kinds)));
}

Failure unexpected(const Command& command, const std::string& word) {
    const bool option = word.size() > 1 && word[0] == '-';
    std::vector<std::string_view> words;
    for (const std::string_view names : command.options) words.push_back(names.substr(names.rfind(',') + 1));
    const std::string given = host::printable(option ? word.substr(0, word.find('=')) : word);
    const std::string hint = option ? host::did_you_mean(given, words) : "";
    return {PUMICE_INVALID_ARGUMENT,
            fmt::format("plugins {} takes no {} {}{}", command.name, option ? "option" : "second argument", given,
                        hint.empty() ? "; see --help" : hint)};
}

Packaged<Done> run(const Command& command, int argc, const char* const* argv, const char* (*get)(const char*)) {
    Arguments arguments;
    bool help = false;
    CLI::App app("", std::string(command.name));
    app.set_help_flag();
    app.allow_extras();
    app.add_flag("-h,--help", help);
    app.add_option("target", arguments.target);
    const std::pair<std::string_view, bool*> flags[] = {{"--allow-unsigned", &arguments.allow_unsigned},
                                                        {"--force", &arguments.force},
                                                        {"--forget-key", &arguments.forget_key}};
    const std::pair<std::string_view, std::string*> texts[] = {
        {"-o,--output", &arguments.output}, {"--key", &arguments.key}, {"--kind", &arguments.kind}};
    for (const std::string_view option : command.options) {
        for (const auto& [name, to] : flags)
            if (name == option) app.add_flag(std::string(name), *to);
        for (const auto& [name, to] : texts)
            if (name == option) app.add_option(std::string(name), *to)->take_last();
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // With these options only a missing value can be the cause.
        const std::string text = error.what();
        return Failure{PUMICE_INVALID_ARGUMENT, "plugins " + std::string(command.name) + ": " +
                                                    host::printable(text.substr(0, text.find('\n')), 200)};
    }
    if (help) {
        print_help(command);
        return Done{};
    }
    if (const auto rest = app.remaining(); !rest.empty()) return unexpected(command, rest.front());
    if (arguments.target.empty())
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("plugins {} needs {}", command.name, command.target)};
    arguments.plugins = host::installed_plugins_folder(host::places_from_environment(get)).value_or(fs::path());
    return command.run(arguments);
}

}  // namespace

bool is_package_command(int argc, const char* const* argv) {
    return find_command(argc, argv) != nullptr;
}

int run_package_command(int argc, const char* const* argv, const char* (*get)(const char*)) {
    const Command* command = find_command(argc, argv);
    Packaged<Done> outcome = run(*command, argc - 2, argv + 2, get);
    if (outcome && (std::fflush(stdout) != 0 || std::ferror(stdout)))
        outcome = Failure{PUMICE_IO, "cannot write to standard output; is the disk full?"};
    return finish_package_command(outcome);
}

int finish_package_command(const Packaged<Done>& outcome) {
    if (outcome) return 0;
    const host::PackageFailure& failure = outcome.failure();
    fmt::print(stderr, "pumice: {}\n", failure.message);
    return failure.refusal == host::Refusal::none ? exit_code(failure.status) : static_cast<int>(failure.refusal);
}

}  // namespace pumice::cli
