#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Kinds of methods: the key of their list in Plugins::json, and what one is called in "KIND.ID=VALUE".
constexpr std::pair<const char*, const char*> kKinds[] = {
    {"samplers", "sampler"},   {"schedules", "schedule"},         {"guidances", "guidance"},        {"controls", "control"},
    {"upscalers", "upscaler"}, {"preprocessors", "preprocessor"}, {"image_filters", "image_filter"}};

/// The folders, those that go before others first.
std::vector<PluginFolder> plugin_folders(const Context& context) {
    std::vector<PluginFolder> folders;
    const char* set = std::getenv("PUMICE_PLUGIN_PATH");
    for (std::string_view rest = set ? set : ""; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(':'));
        if (!one.empty()) folders.push_back({std::string(one), "PUMICE_PLUGIN_PATH"});
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
    if (context.settings.plugins_folder) folders.push_back({*context.settings.plugins_folder, "configuration"});
    if (!context.places.data_home.empty()) folders.push_back({context.places.data_home + "/pumice/plugins", "user"});
    return folders;
}

/// Whether any plugin, or the one that brings `name`, has the parameter "KIND.ID".
bool has_param(const Json& plugins, const std::string& key, const std::string& name) {
    const std::size_t dot = key.find('.');
    const std::string list = key.substr(0, dot) + "s", id = dot == std::string::npos ? "" : key.substr(dot + 1);
    for (const Json& plugin : plugins["plugins"]) {
        if (plugin["status"] != "on" || !plugin.contains(list)) continue;
        for (const Json& method : plugin[list]) {
            if (!name.empty() && method["name"] != name) continue;
            for (const Json& param : method["params"])
                if (param["id"] == id) return true;
            if (!name.empty()) return false;  // the first of a name counts
        }
    }
    return false;
}

/// "s_churn=0 (0 to 100)".
std::string param_text(const Json& param) {
    const std::string id = param["id"].get<std::string>(), type = param["type"].get<std::string>();
    if (type == "enum") {
        const auto choices = param["choices"].get<std::vector<std::string>>();
        return fmt::format("{}={} ({})", id, choices[param["default"].get<std::size_t>()], fmt::join(choices, ", "));
    }
    if (type == "bool") return fmt::format("{}={}", id, param["default"] == 1.0 ? "true" : "false");
    if (type == "int" || type == "float")
        return fmt::format("{}={} ({} to {})", id, param["default"].get<double>(), param["least"].get<double>(),
                           param["most"].get<double>());
    return fmt::format("{} ({})", id, type);
}

std::string params_text(const Json& method) {
    std::vector<std::string> texts;
    for (const Json& param : method["params"]) texts.push_back(param_text(param));
    return fmt::format("{}", fmt::join(texts, ", "));
}

/// The samplers, the schedules, ... of the plugins in use, each name once.
std::string methods_table(const Json& json, const char* list, const char* heading) {
    std::vector<std::vector<std::string>> rows = {{heading, "plugin", "parameters"}};
    for (const Json& name : json[list])
        for (const Json& plugin : json["plugins"]) {
            if (plugin["status"] != "on") continue;
            const Json& methods = plugin[list];
            const auto found = std::find_if(methods.begin(), methods.end(),
                                            [&](const Json& method) { return method["name"] == name; });
            if (found == methods.end()) continue;
            rows.push_back({name.get<std::string>(), plugin["id"].get<std::string>(), params_text(*found)});
            break;
        }
    return table_text(std::move(rows));
}

/// Each parameter of the plugins in use on a line: what to type, its range, and what it does.
std::string params_table(const Json& json) {
    std::vector<std::vector<std::string>> rows = {{"parameter", "plugin", "default and range", "what it does"}};
    for (const auto& [list, kind] : kKinds)
        for (const Json& plugin : json["plugins"]) {
            if (plugin["status"] != "on") continue;
            for (const Json& method : plugin[list])
                for (const Json& param : method["params"]) {
                    const std::string id = param["id"].get<std::string>(), text = param_text(param);
                    rows.push_back({fmt::format("{} {}: {}.{}", kind, method["name"].get<std::string>(), kind, id),
                                    plugin["id"].get<std::string>(), text.substr(std::min(text.size(), id.size() + 1)),
                                    param["help"].get<std::string>() +
                                        (param.contains("unit") ? ", in " + param["unit"].get<std::string>() : "")});
                }
        }
    return table_text(std::move(rows));
}

}  // namespace

Expected<Plugins> find_plugins(const Context& context) {
    PluginOptions options;
    options.folders = plugin_folders(context);
    if (!context.places.state_home.empty()) options.state_folder = context.places.state_home + "/pumice";
    options.safe_mode = context.line.safe_mode;
    options.probe_again = context.line.probe_again;
    options.log = [](pumice_log_level level, std::string_view line) {
        if (level >= PUMICE_LOG_WARNING) fmt::print(stderr, "pumice: warning: {}\n", line);
    };
    HOST_ASSIGN(Plugins plugins, Plugins::find(options));
    const Json json = Json::parse(plugins.json());
    for (const Json& id : json["crashed"])
        fmt::print(stderr,
                   "pumice: the program ended while the code of plugin {0} ran; it is left out until pumice "
                   "plugins enable {0}\n",
                   id.get<std::string>());
    return plugins;
}

Expected<void> check_name(const std::string& name, const std::string& where,
                          const std::vector<std::string_view>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return {};
    return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{}: {} is not one of {}{}", where, host::shown(name),
                                                        fmt::join(known, ", "), host::did_you_mean(name, known))};
}

Expected<void> check_plugin_names(const Context& context, const Plugins& plugins) {
    const host::Settings& s = context.settings;
    if (s.sampler) HOST_TRY(check_name(*s.sampler, s.sampler_from, plugins.samplers()));
    if (s.schedule) HOST_TRY(check_name(*s.schedule, s.schedule_from, plugins.schedules()));
    auto guidances = plugins.guidances();
    guidances.insert(guidances.begin(), "none");
    if (s.guidance) HOST_TRY(check_name(*s.guidance, s.guidance_from, guidances));
    for (const std::string& filter : context.line.filters)
        HOST_TRY(check_name(filter, "--filter", plugins.image_filters()));
    return {};
}

Expected<std::vector<std::string>> plugin_params(const Context& context, const Plugins& plugins,
                                                 const std::vector<UsedMethod>& used) {
    std::vector<std::string> params;
    const Json json = Json::parse(plugins.json());
    for (const auto& [key, value] : context.settings.plugin_params) {
        if (!has_param(json, key, ""))
            return Failure{
                PUMICE_INVALID_ARGUMENT,
                fmt::format("plugin_params.{}: no plugin has such a parameter; see pumice plugins list", key)};
        const std::string& of = key;
        if (std::any_of(used.begin(), used.end(), [&](const UsedMethod& method) {
                return of.rfind(method.kind + ".", 0) == 0 && has_param(json, of, method.name);
            }))
            params.push_back(key + "=" + value);
    }
    for (const auto& [key, value] : context.settings.given_plugin_params) params.push_back(key + "=" + value);
    return params;
}

Expected<void> run_plugins_list(const Context& context) {
    HOST_ASSIGN(const Plugins plugins, find_plugins(context));
    const Json json = Json::parse(plugins.json());
    if (context.line.json) {
        fmt::print("{}\n", json.dump(2));
        return {};
    }
    std::vector<std::vector<std::string>> rows = {{"id", "version", "kinds", "place", "status", "why"}};
    for (const Json& plugin : json["plugins"]) {
        std::vector<std::string>& row = rows.emplace_back();
        for (const char* key : {"id", "version", "kinds", "place", "status", "reason"})
            row.push_back(plugin[key].get<std::string>());
    }
    fmt::print("{}", table_text(std::move(rows)));
    for (const auto& [list, heading] : kKinds)
        if (!json[list].empty()) fmt::print("\n{}", methods_table(json, list, heading));
    if (context.line.params) fmt::print("\n{}", params_table(json));
    return {};
}

Expected<void> run_plugins_set(const Context& context, bool enabled) {
    HOST_ASSIGN(Plugins plugins, find_plugins(context));
    return plugins.set_enabled(context.line.plugin, enabled);
}

}  // namespace pumice::cli
