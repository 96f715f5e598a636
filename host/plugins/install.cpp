#include "plugins/install.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/suggest.hpp"
#include "outcome.hpp"
#include "plugins/install_files.hpp"
#include "plugins/package_folder.hpp"
#include "plugins/package_path.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestDescription = std::size_t(1) << 20;

/// What can be told without looking at what is installed.
Packaged<Done> check_machine(const PackageDescription& description, const InstallOptions& options) {
    const std::string what = fmt::format("{} {}", description.id, description.version.text);
    if (description.sdk != kSdkRevision)
        return PackageFailure(Refusal::sdk,
                              fmt::format("{} was made for revision {} of the plugin interface; this Pumice has {}",
                                          what, description.sdk, kSdkRevision),
                              PUMICE_UNSUPPORTED);
    if (description.libraries.count(std::string(options.platform)) != 0) return Done{};
    std::vector<std::string> platforms;
    for (const auto& [platform, library] : description.libraries) platforms.push_back(platform);
    return PackageFailure(
        Refusal::platform,
        fmt::format("{} has no library for this machine, which is {}; it has {}", what,
                    options.platform.empty() ? "of a kind that packages have no name for" : options.platform,
                    fmt::join(platforms, ", ")),
        PUMICE_UNSUPPORTED);
}

/// An unsigned package of an id whose key is pinned would go around the pin.
Packaged<Done> check_key(const Package& package, const PinnedKeys& keys, const InstallOptions& options) {
    const std::string& id = package.description.id;
    const auto pinned = keys.find(id);
    const std::string forget = fmt::format("if you trust it all the same: pumice plugins remove {} --forget-key", id);
    if (pinned != keys.end() && !package.signed_by)
        return PackageFailure(Refusal::other_key,
                              fmt::format("{} is not signed, but versions before it were, by {}; {}", id,
                                          key_text(pinned->second), forget));
    if (pinned != keys.end() && *package.signed_by != pinned->second)
        return PackageFailure(Refusal::other_key,
                              fmt::format("{} is signed by {}, but versions before it by {}; {}", id,
                                          key_text(*package.signed_by), key_text(pinned->second), forget));
    if (!package.signed_by && !options.allow_unsigned)
        return PackageFailure(Refusal::no_signature,
                              fmt::format("{} is not signed, so nobody knows who made it; --allow-unsigned installs "
                                          "it all the same",
                                          id));
    return Done{};
}

Expected<PackageDescription> installed_description(const fs::path& folder) {
    const fs::path file = folder / kDescriptionFile;
    auto bytes = read_bytes(file, kLargestDescription);
    if (!bytes) return Failure(bytes.failure());
    auto parsed = parse_description({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, file.string(),
                                    Hashes::required);
    if (!parsed) return Failure(parsed.failure());
    return std::move(*parsed);
}

/// A broken one may be replaced by anything: its version is not known.
Packaged<Done> check_version(const Package& package, const Expected<PackageDescription>& before,
                             const InstallOptions& options) {
    const Version& version = package.description.version;
    if (options.force || !before || compare(version, before->version) >= 0) return Done{};
    return PackageFailure(Refusal::downgrade,
                          fmt::format("{} {} is installed, which is newer than {}; --force replaces it all the same",
                                      package.description.id, before->version.text, version.text));
}

/// Without the libraries of other platforms, which whoever looks for plugins would try to load.
PackageFiles files_for(const Package& package, std::string_view platform) {
    const auto& libraries = package.description.libraries;
    PackageFiles files = package.files;
    for (const auto& [name, library] : libraries)
        if (library.file != libraries.at(std::string(platform)).file) files.erase(library.file);
    return files;
}

/// What somebody put there by hand is not ours to replace.
Packaged<Done> check_ours(const fs::path& folder) {
    std::error_code error;
    if (!fs::exists(folder, error) || fs::exists(folder / kDescriptionFile, error)) return Done{};
    return Failure{PUMICE_IO,
                   fmt::format("{} is there already, but not from a package; move it away", folder.string())};
}

std::string broken_reason(const InstalledPlugin& plugin) {
    if (plugin.description.id != plugin.id)
        return fmt::format("{}: plugin.toml bears another id, {}", plugin.folder.string(), plugin.description.id);
    if (plugin.description.sdk != kSdkRevision)
        return fmt::format("made for revision {} of the plugin interface; this Pumice has {}", plugin.description.sdk,
                           kSdkRevision);
    if (plugin.library.empty()) return fmt::format("no library for this machine, {}", host_platform());
    return {};
}

InstalledPlugin look_at(const fs::path& folder) {
    InstalledPlugin plugin;
    plugin.id = folder.filename().string();
    plugin.folder = folder;
    auto description = installed_description(folder);
    if (!description) {
        plugin.broken = description.failure().message;
        return plugin;
    }
    plugin.description = std::move(*description);
    const auto library = plugin.description.libraries.find(std::string(host_platform()));
    if (library != plugin.description.libraries.end()) plugin.library = folder / library->second.file;
    plugin.broken = broken_reason(plugin);
    return plugin;
}

}  // namespace

std::optional<fs::path> installed_plugins_folder(const Places& places) {
    if (places.data_home.empty()) return std::nullopt;
    return fs::path(places.data_home) / "pumice" / "plugins";
}

Expected<std::vector<InstalledPlugin>> installed_plugins(const fs::path& folder) {
    std::error_code error;
    if (!fs::exists(folder, error) && !error) return std::vector<InstalledPlugin>{};
    std::vector<InstalledPlugin> all;
    for (auto each = fs::directory_iterator(folder, error); !error && each != fs::directory_iterator();
         each.increment(error)) {
        std::error_code ignored;  // an entry that vanished meanwhile is none
        if (!each->path().filename().string().starts_with('.') && each->is_directory(ignored))
            all.push_back(look_at(each->path()));
    }
    if (error)
        return Failure{PUMICE_IO,
                       fmt::format("cannot read the folder of plugins {}: {}", folder.string(), error.message())};
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return all;
}

Packaged<Installed> install_package(const fs::path& folder, const Package& package, const InstallOptions& options) {
    const std::string& id = package.description.id;
    HOST_TRY(check_machine(package.description, options));
    {
        // Before anything is made on disk; again below, since until the lock is held others may change it.
        HOST_ASSIGN(const PinnedKeys keys, read_keys(folder));
        HOST_TRY(check_key(package, keys, options));
        HOST_TRY(check_version(package, installed_description(folder / id), options));
        HOST_TRY(check_ours(folder / id));
    }
    HOST_ASSIGN(const LockedPlugins plugins, LockedPlugins::open(folder, options.wait));
    HOST_ASSIGN(const PinnedKeys before, read_keys(folder));
    HOST_TRY(check_key(package, before, options));
    const Expected<PackageDescription> replaced = installed_description(plugins.plugin(id));
    HOST_TRY(check_version(package, replaced, options));
    HOST_TRY(check_ours(plugins.plugin(id)));

    // The pin first: a plugin that is there without its pin could be updated by anyone, a pin without its plugin by
    // nobody but its author.
    PinnedKeys after = before;
    if (package.signed_by) after[id] = *package.signed_by;
    if (after != before) HOST_TRY(write_keys(folder, after));
    if (auto put = plugins.put(id, files_for(package, options.platform)); !put) {
        if (after != before) HOST_TRY(write_keys(folder, before));
        return put.failure();
    }
    Installed installed{id, package.description.version.text, {}, package.signed_by, before != after};
    if (replaced) installed.before = replaced->version.text;
    return installed;
}

Packaged<Done> remove_plugin(const fs::path& folder, const std::string& id, Key key, std::chrono::milliseconds wait) {
    const auto unknown = [&]() -> Packaged<Done> {
        HOST_ASSIGN(const std::vector<InstalledPlugin> all, installed_plugins(folder));
        std::vector<std::string_view> ids;
        for (const InstalledPlugin& plugin : all) ids.push_back(plugin.id);
        return Failure{PUMICE_NOT_FOUND,
                       fmt::format("no plugin {} is installed{}", printable(id), did_you_mean(id, ids))};
    };
    std::error_code error;
    if (!is_plugin_id(id) || !fs::exists(folder, error)) return unknown();
    HOST_ASSIGN(const LockedPlugins plugins, LockedPlugins::open(folder, wait));
    HOST_ASSIGN(const PinnedKeys before, read_keys(folder));
    PinnedKeys after = before;
    const bool forgotten = key == Key::forget && after.erase(id) != 0;
    if (!plugins.has(id) && !forgotten) return unknown();
    if (plugins.has(id)) HOST_TRY(plugins.remove(id));
    if (after != before) HOST_TRY(write_keys(folder, after));
    return Done{};
}

}  // namespace pumice::host
