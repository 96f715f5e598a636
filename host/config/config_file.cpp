#include "config/config_file.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include <toml++/toml.h>

#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

/// Whose parameters may be set: [plugin_params.KIND].
constexpr std::string_view kPluginKinds[] = {"sampler",  "schedule",     "guidance",
                                              "control",  "upscaler", "preprocessor", "image_filter"};

bool is_kind(std::string_view name) {
    return std::find(std::begin(kPluginKinds), std::end(kPluginKinds), name) != std::end(kPluginKinds);
}

/// Reads one document. `name` stands in messages.
class Reader {
public:
    Reader(const std::string& name) : name_(name) {}

    Expected<Settings> read(const toml::table& root) {
        HOST_TRY(table(root, ""));
        return settings_;
    }

private:
    std::string where(const toml::source_position& at, const std::string& key) const {
        return fmt::format("{}:{}: {}", name_, at.line, key);
    }

    Expected<void> table(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string path = prefix + std::string(key.str());
            HOST_TRY(entry(path, where(key.source().begin, printable(path)), node));
        }
        return {};
    }

    Expected<void> entry(const std::string& path, const std::string& at, const toml::node& node) {
        constexpr std::string_view kParams = "plugin_params.";
        const std::string_view kind = path.starts_with(kParams) ? std::string_view(path).substr(kParams.size()) : "";
        if (path == "plugin_params" || path == "generate" || path == "paths" || is_kind(kind)) {
            if (const toml::table* inner = node.as_table()) return table(*inner, path + ".");
            return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{}: this must be a table, [{}]", at, path)};
        }
        for (const Setting& setting : all_settings())
            if (setting.key == path) return value(setting, at, node);
        if (is_kind(kind.substr(0, kind.find('.')))) return param(path.substr(kParams.size()), at, node);
        return unknown(path, at);
    }

    Expected<void> value(const Setting& setting, const std::string& at, const toml::node& node) {
        if (const auto* text = node.as_string()) return set_value(settings_, setting, text->get(), at);
        if (const auto* whole = node.as_integer()) return set_value(settings_, setting, whole->get(), at);
        if (const auto* real = node.as_floating_point()) return set_value(settings_, setting, real->get(), at);
        if (const auto* list = node.as_array(); list && setting.kind == Setting::Kind::paths) {
            std::vector<std::string> paths;
            for (const toml::node& entry : *list) {
                const auto* path = entry.as_string();
                if (!path)
                    return Failure{PUMICE_INVALID_ARGUMENT,
                                   fmt::format("{}: this list has something other than strings", at)};
                paths.push_back(path->get());
            }
            return set_value(settings_, setting, paths, at);
        }
        const char* type = node.is_table()     ? "a table"
                           : node.is_array()   ? "a list"
                           : node.is_boolean() ? "true or false"
                                               : "a date or time";
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("{}: this is {}, but must be {}", at, type, wanted(setting))};
    }

    /// Which parameters there are, and what they may be, is known when the plugins are.
    Expected<void> param(const std::string& key, const std::string& at, const toml::node& node) {
        std::string text;
        if (const auto* given = node.as_string())
            text = given->get();
        else if (const auto* whole = node.as_integer())
            text = fmt::to_string(whole->get());
        else if (const auto* real = node.as_floating_point())
            text = fmt::format("{}", real->get());
        else if (const auto* truth = node.as_boolean())
            text = truth->get() ? "true" : "false";
        else
            return Failure{PUMICE_INVALID_ARGUMENT,
                           fmt::format("{}: this must be a text, a number, true or false", at)};
        settings_.plugin_params[key] = text;
        return {};
    }

    static Expected<void> unknown(const std::string& path, const std::string& at) {
        std::vector<std::string_view> keys = {"generate", "paths", "plugin_params"};
        const std::vector<std::string> kinds = [] {
            std::vector<std::string> all;
            for (const std::string_view kind : kPluginKinds) all.push_back("plugin_params." + std::string(kind));
            return all;
        }();
        keys.insert(keys.end(), kinds.begin(), kinds.end());
        for (const Setting& setting : all_settings()) keys.push_back(setting.key);
        std::string hint = did_you_mean(path, keys);
        // A key under the wrong heading is as easy a mistake as a letter.
        const std::string last = path.substr(path.rfind('.') + 1);
        for (const std::string_view key : keys)
            if (key.substr(key.rfind('.') + 1) == last) hint = fmt::format("; did you mean {}?", key);
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{}: there is no such key{}", at, hint)};
    }

    static std::string printable(std::string text) {
        for (char& c : text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
        return text.size() > 80 ? text.substr(0, 80) + "…" : text;
    }

    const std::string& name_;
    Settings settings_;
};

std::string absolute_or_empty(const char* value) {
    return value && value[0] == '/' ? value : "";
}

}  // namespace

Expected<Settings> parse_config(std::string_view text, const std::string& file_name) {
    // toml++ reports by exception; this is the only place that sees one.
    try {
        return Reader(file_name).read(toml::parse(text));
    } catch (const toml::parse_error& error) {
        std::string reason(error.description());
        for (char& c : reason)
            if (static_cast<unsigned char>(c) < 0x20) c = ' ';
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}:{}:{}: not TOML: {}", file_name, error.source().begin.line,
                                                      error.source().begin.column, reason)};
    }
}

Expected<Settings> read_config(const fs::path& path, const std::string& home) {
    std::error_code error;
    if (!fs::exists(path, error))
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no configuration file {}", path.string())};
    if (fs::is_directory(path, error))
        return Failure{PUMICE_IO, fmt::format("cannot read the configuration file {}: it is a folder", path.string())};
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.is_open() || in.bad())
        return Failure{PUMICE_IO,
                       fmt::format("cannot read the configuration file {}; check its permissions", path.string())};
    HOST_ASSIGN(Settings settings, parse_config(text, path.string()));
    const auto absolute = [&](const std::string& folder) {
        return (path.parent_path() / expand_home(folder, home)).lexically_normal().string();
    };
    for (auto* folder : {&settings.output_folder, &settings.cache_folder, &settings.plugins_folder})
        if (*folder) *folder = absolute(**folder);
    if (settings.models_folders)
        for (std::string& folder : *settings.models_folders) folder = absolute(folder);
    for (auto* file : {&settings.model, &settings.vae, &settings.text_encoder})
        if (*file) *file = expand_home(**file, home);
    return settings;
}

Places places_from_environment(const char* (*get)(const char*)) {
    Places places;
    places.home = absolute_or_empty(get("HOME"));
    places.config_home = absolute_or_empty(get("XDG_CONFIG_HOME"));
    if (places.config_home.empty() && !places.home.empty()) places.config_home = places.home + "/.config";
    const auto home_or = [&](const char* variable, const char* beneath) {
        const std::string set = absolute_or_empty(get(variable));
        return set.empty() && !places.home.empty() ? places.home + beneath : set;
    };
    places.cache_home = home_or("XDG_CACHE_HOME", "/.cache");
    places.data_home = home_or("XDG_DATA_HOME", "/.local/share");
    places.state_home = home_or("XDG_STATE_HOME", "/.local/state");

    const char* set = get("XDG_CONFIG_DIRS");
    std::string_view rest = set && *set ? set : "/etc/xdg";
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(':'));
        if (!one.empty() && one[0] == '/') places.config_dirs.emplace_back(one);
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
    return places;
}

std::optional<fs::path> find_config(const Places& places) {
    std::vector<std::string> folders = places.config_dirs;
    if (!places.config_home.empty()) folders.insert(folders.begin(), places.config_home);
    for (const std::string& folder : folders) {
        const fs::path file = fs::path(folder) / "pumice" / "config.toml";
        std::error_code error;
        if (fs::exists(file, error)) return file;
    }
    return std::nullopt;
}

}  // namespace pumice::host
