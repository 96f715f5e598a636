#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/plugins_package.hpp"
#include "config/suggest.hpp"
#include "outcome.hpp"
#include "plugins/install.hpp"
#include "plugins/package.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using host::Done;
using host::Packaged;
using Json = nlohmann::ordered_json;

/// A folder that goes when this does.
class WorkFolder {
public:
    static Expected<WorkFolder> create() {
        std::error_code error;
        std::string name = (fs::temp_directory_path(error) / "pumice-verify-XXXXXX").string();
        if (error || !::mkdtemp(name.data()))
            return Failure{PUMICE_IO, fmt::format("cannot make a folder like {}; is TMPDIR right?", name)};
        return WorkFolder(name);
    }
    WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ~WorkFolder() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }

private:
    explicit WorkFolder(fs::path path) : path_(std::move(path)) {}
    fs::path path_;
};

/// What plugin.toml says is what the library says. "" or what is not.
std::string disagreement(const host::PackageDescription& package, const Json& plugins) {
    if (plugins.empty()) return "";  // it did not load, which is said elsewhere
    std::vector<std::string> ids, has;
    for (const Json& plugin : plugins) {
        ids.push_back(plugin["id"].get<std::string>());
        for (const Json& extension : plugin["extensions"]) has.push_back(extension.get<std::string>());
    }
    const auto own = std::find(ids.begin(), ids.end(), package.id);
    if (own == ids.end()) return fmt::format("its id is {}, the library's {}", package.id, fmt::join(ids, ", "));
    const std::string version = plugins[static_cast<std::size_t>(own - ids.begin())]["version"].get<std::string>();
    if (version != package.version.text)
        return fmt::format("its version is {}, the library's {}", package.version.text, version);
    for (const std::string& name : package.extensions)
        if (std::find(has.begin(), has.end(), name) == has.end())
            return fmt::format("it names the extension {}, which the library does not have", name);
    for (const std::string& name : has)
        if (std::find(package.extensions.begin(), package.extensions.end(), name) == package.extensions.end())
            return fmt::format("it does not name the extension {}, which the library has", name);
    return "";
}

class Verifying {
public:
    explicit Verifying(const Context& context) : context_(context) {}

    Packaged<Done> run() {
        const fs::path target = context_.line.plugin;
        std::error_code error;
        if (fs::is_directory(target, error) || target.extension() == ".pumice") return package(target);
        if (fs::is_regular_file(target, error)) return library(target, nullptr);
        return installed();
    }

private:
    /// Installed into a folder of its own: nothing of the user's is touched, and the files lie as they will.
    Packaged<Done> package(const fs::path& target) {
        HOST_ASSIGN(const host::Package read, host::load_package(target));
        HOST_ASSIGN(const WorkFolder work, WorkFolder::create());
        host::InstallOptions options;
        options.allow_unsigned = true;
        HOST_TRY(host::install_package(work.path(), read, options));
        HOST_ASSIGN(const auto all, host::installed_plugins(work.path()));
        if (all.size() != 1 || !all[0].broken.empty())
            return Failure{PUMICE_INTERNAL, "the package could not be unpacked to be verified"};
        return library(all[0].library, &read.description);
    }

    Packaged<Done> installed() {
        HOST_ASSIGN(const Plugins plugins, find_plugins(context_));
        const Json json = Json::parse(plugins.json());
        std::vector<std::string> ids;
        for (const Json& plugin : json["plugins"]) {
            if (plugin["id"] == context_.line.plugin) return library(plugin["file"].get<std::string>(), nullptr);
            ids.push_back(plugin["id"].get<std::string>());
        }
        const std::vector<std::string_view> words(ids.begin(), ids.end());
        return Failure{PUMICE_NOT_FOUND,
                       fmt::format("there is no file, folder or plugin {}{}", host::shown(context_.line.plugin),
                                   host::did_you_mean(context_.line.plugin, words))};
    }

    Packaged<Done> library(const fs::path& file, const host::PackageDescription* package) {
        const bool lines = !context_.line.json;
        const auto tell = [lines](std::string_view check, pumice_check_outcome outcome, std::string_view why) {
            if (!lines) return;
            const char* word = outcome == PUMICE_CHECK_PASSED   ? "ok"
                               : outcome == PUMICE_CHECK_FAILED ? "FAILED"
                                                                : "not run";
            fmt::print("{:<8}{}{}{}\n", word, check, why.empty() ? "" : ": ", why);
            std::fflush(stdout);
        };
        VerifyOptions options;
        options.seconds = context_.line.seconds;
        options.device = context_.line.device;
        for (const std::string& given : context_.line.files) {
            // Relative to here; the checks run elsewhere.
            const std::size_t value = given.find('=') + 1;
            options.files.push_back(given.substr(0, value) + fs::absolute(given.substr(value)).string());
        }
        options.on_check = tell;
        HOST_ASSIGN(const std::string text, verify_plugin(file.string(), options));
        Json report = Json::parse(text);
        if (package) {
            const std::string why = disagreement(*package, report["plugins"]),
                              name = "package: plugin.toml says the same";
            tell(name, why.empty() ? PUMICE_CHECK_PASSED : PUMICE_CHECK_FAILED, why);
            report["checks"].push_back({{"check", name}, {"why", why}, {"not_run", ""}});
            if (!why.empty()) report["failed"] = report["failed"].get<std::size_t>() + 1;
        }
        const auto failed = report["failed"].get<std::size_t>(), all = report["checks"].size();
        const auto not_run = report["not_run"].get<std::size_t>();
        if (lines) {
            fmt::print("{} checks, {} failed{}\n", all, failed,
                       not_run > 0 ? fmt::format(", {} not run", not_run) : "");
        } else {
            fmt::print("{}\n", report.dump(2));
        }
        if (failed == 0) return Done{};
        return host::PackageFailure(host::Refusal::conformance,
                                    fmt::format("{} of {} checks of {} failed", failed, all, context_.line.plugin));
    }

    const Context& context_;
};

}  // namespace

Expected<int> run_plugins_verify(const Context& context) {
    const Packaged<Done> outcome = Verifying(context).run();
    std::fflush(stdout);
    return finish_package_command(outcome);
}

}  // namespace pumice::cli
