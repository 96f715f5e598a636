#include "plugins/registry.hpp"

#include <dlfcn.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/check.hpp"
#include "plugins/marker.hpp"
#include "plugins/plugin_guidance.hpp"
#include "plugins/plugin_sampler.hpp"
#include "pumice/sdk/ext/schedule.h"

namespace pumice::plugins {
namespace fs = std::filesystem;
namespace {

/// Libraries of a folder and of the folders in it, two deep (a package has a folder of its own), in the order of their
/// names. What begins with a point is left alone: it is being installed, or hidden on purpose.
std::vector<fs::path> libraries_in(const fs::path& folder) {
    std::vector<fs::path> files;
    const std::string suffix = boost::dll::shared_library::suffix().string();
    std::error_code error;
    fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
    for (; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        std::error_code ignored;
        if (name.starts_with(".")) {
            it.disable_recursion_pending();
        } else if (it->is_directory(ignored)) {
            if (it.depth() >= 2) it.disable_recursion_pending();
        } else if (name.ends_with(suffix) && it->is_regular_file(ignored)) {
            files.push_back(it->path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// Its address tells which file this code is in.
void here() {}

}  // namespace

const char* to_string(Found::State state) {
    switch (state) {
        case Found::State::on:
            return "on";
        case Found::State::off:
            return "off";
        case Found::State::crashed:
            return "crashed";
        case Found::State::broken:
            return "broken";
        case Found::State::hidden:
            return "hidden";
        case Found::State::left_out:
            return "left out";
    }
    return "";
}

InstalledParts installed_parts() {
    Dl_info info{};
    std::error_code error;
    fs::path folder;
    if (::dladdr(reinterpret_cast<void*>(&here), &info) != 0 && info.dli_fname) {
        // A program has no path here but the one it was called by.
        fs::path file = fs::canonical(info.dli_fname, error);
        if (error) file = fs::read_symlink("/proc/self/exe", error);
        folder = file.parent_path();
    }
    const fs::path parts = folder / "pumice";
    return {parts / "plugins", parts / "pumice_probe", parts / "pumice_verify"};
}

Result<std::shared_ptr<Registry>> Registry::create(RegistryOptions options) {
    std::shared_ptr<Registry> made(new Registry(std::move(options)));
    PUMICE_TRY(made->look());
    return made;
}

Status Registry::look() {
    take_marks();
    if (!options_.safe_mode)
        for (const Place& place : options_.places) look_in(place);
    PUMICE_TRY(add_builtin());
    store_.save_verdicts();
    decide();
    gather_names();
    return {};
}

void Registry::take_marks() {
    if (options_.state_folder.empty()) return;
    for (const std::string& id : take_crashed(options_.state_folder)) {
        crashed_.push_back(id);
        const Status kept = store_.set_off(id, Off{Off::By::crash, "the program ended while its code ran"});
        if (!kept) options_.log.warning("{}", kept.error().message);
    }
}

void Registry::look_in(const Place& place) {
    for (const fs::path& file : libraries_in(place.folder)) {
        std::optional<Verdict> verdict;
        if (!options_.probe_again) verdict = store_.verdict(file);
        if (!verdict) verdict = try_out(file);
        add(file, place, false, *verdict);
    }
}

Verdict Registry::try_out(const fs::path& file) {
    if (options_.probe.empty()) {
        const auto opened = Library::open(file);
        auto plugins = opened ? examine(*opened) : Result<std::vector<Description>>(opened.error());
        return plugins ? Verdict{*std::move(plugins), ""} : Verdict{{}, plugins.error().message};
    }
    auto verdict = probe(options_.probe, file, options_.probe_seconds);
    if (!verdict) return {{}, verdict.error().message};  // not kept: nothing was tried
    store_.keep(file, *verdict);
    return *std::move(verdict);
}

Status Registry::add_builtin() {
    const std::vector<fs::path> files = libraries_in(options_.builtin);
    if (files.empty())
        return Error{Code::not_found, fmt::format("the plugins that come with Pumice are missing: there are none in {}",
                                                  options_.builtin.string())};
    for (const fs::path& file : files) {
        PUMICE_ASSIGN(const auto library, Library::open(file));
        PUMICE_ASSIGN(auto plugins, examine(library));
        libraries_[file] = library;
        add(file, {"built-in", options_.builtin}, true, {std::move(plugins), ""});
    }
    return {};
}

void Registry::add(const fs::path& file, const Place& place, bool builtin, const Verdict& verdict) {
    if (!verdict.reason.empty()) {
        Found broken{.state = Found::State::broken,
                     .file = file,
                     .place = place.name,
                     .builtin = builtin,
                     .description = {},
                     .index = 0,
                     .reason = verdict.reason};
        broken.description.id = file.stem().string();
        plugins_.push_back(std::move(broken));
        return;
    }
    for (std::uint32_t i = 0; i < verdict.plugins.size(); ++i)
        plugins_.push_back({Found::State::on, file, place.name, builtin, verdict.plugins[i], i, ""});
}

void Registry::decide() {
    for (std::size_t i = 0; i < plugins_.size(); ++i) {
        Found& found = plugins_[i];
        if (found.state == Found::State::broken) continue;
        const std::string& id = found.description.id;
        const auto first =
            std::find_if(plugins_.begin(), plugins_.begin() + static_cast<std::ptrdiff_t>(i), [&](const Found& other) {
                return other.state != Found::State::broken && other.state != Found::State::hidden &&
                       other.description.id == id;
            });
        const auto off = store_.off().find(id);
        if (first != plugins_.begin() + static_cast<std::ptrdiff_t>(i) && first->state == Found::State::on) {
            found.state = Found::State::hidden;
            found.reason = fmt::format("{} has the same id and comes first", first->file.string());
        } else if (off != store_.off().end() && !found.builtin) {
            const bool crash = off->second.by == Off::By::crash;
            found.state = crash ? Found::State::crashed : Found::State::off;
            found.reason =
                crash ? off->second.reason + "; pumice plugins enable " + id + " tries it again" : "as asked for";
        } else if (off != store_.off().end() && off->second.by == Off::By::crash) {
            found.reason = off->second.reason;
        }
    }
}

void Registry::gather_names() {
    const auto gather = [&](std::vector<Method> Description::*list, std::uint32_t internal,
                            std::vector<std::string>& names) {
        for (const bool builtin : {true, false})
            for (const Found& found : plugins_) {
                if (found.state != Found::State::on || found.builtin != builtin) continue;
                for (const Method& method : found.description.*list)
                    if ((method.flags & internal) == 0 &&
                        std::find(names.begin(), names.end(), method.name) == names.end())
                        names.push_back(method.name);
            }
    };
    gather(&Description::samplers, 0, sampler_names_);
    gather(&Description::schedules, PUMICE_SCHEDULE_INTERNAL, schedule_names_);
    gather(&Description::guidances, 0, guidance_names_);
    gather(&Description::controls, 0, control_names_);
    gather(&Description::upscalers, 0, upscaler_names_);
    gather(&Description::preprocessors, 0, preprocessor_names_);
    gather(&Description::image_filters, 0, image_filter_names_);
}

Status Registry::set_enabled(const std::string& id, bool enabled) {
    const auto found =
        std::find_if(plugins_.begin(), plugins_.end(), [&](const Found& each) { return each.description.id == id; });
    const bool known = found != plugins_.end() || store_.off().contains(id);
    if (!known) return Error{Code::not_found, fmt::format("there is no plugin {}; see pumice plugins list", id)};
    if (!enabled && found != plugins_.end() && found->builtin)
        return Error{Code::invalid_argument, fmt::format("{} comes with Pumice and cannot be disabled", id)};
    return store_.set_off(id, enabled ? std::nullopt : std::optional<Off>(Off{}));
}

std::optional<Registry::Use> Registry::find(const Kind& kind, std::string_view name) const {
    for (std::size_t i = 0; i < plugins_.size(); ++i) {
        if (plugins_[i].state != Found::State::on) continue;
        const auto& all = plugins_[i].description.*kind.list;
        for (std::uint32_t j = 0; j < all.size(); ++j)
            if (all[j].name == name) return Use{i, j};
    }
    return std::nullopt;
}

PluginMethod Registry::method_of(const Kind& kind, const Use& use) const {
    const Found& found = plugins_[use.plugin];
    return {.id = found.description.id,
            .library = {},
            .plugin = found.index,
            .index = use.index,
            .method = (found.description.*kind.list)[use.index],
            .params = {}};
}

Result<PluginMethod> Registry::make_method(const Kind& kind, const std::string& name,
                                           std::span<const std::string> params) {
    const auto use = find(kind, name);
    if (!use) {
        std::vector<std::string> names;
        for (const Found& found : plugins_)
            if (found.state == Found::State::on)
                for (const Method& method : found.description.*kind.list) names.push_back(method.name);
        const std::string there =
            names.empty() ? "there are none" : fmt::format("there are {}", fmt::join(names, ", "));
        return Error{Code::not_found, fmt::format("no {} is called \"{}\"; {}", kind.name, one_line(name), there)};
    }
    std::vector<GivenParam> given;
    for (const std::string& text : params) {
        PUMICE_ASSIGN(given.emplace_back(), parse_param(text));
    }
    PluginMethod made = method_of(kind, *use);
    PUMICE_ASSIGN(made.params, resolve_params(made.method, kind.name, given));
    PUMICE_ASSIGN(made.library, library_of(use->plugin));
    return made;
}

std::optional<Registry::Use> Registry::find_schedule(std::string_view name, std::optional<std::size_t> beside,
                                                     bool internal) const {
    const auto in = [&](std::size_t i) -> std::optional<Use> {
        if (plugins_[i].state != Found::State::on) return std::nullopt;
        const auto& all = plugins_[i].description.schedules;
        for (std::uint32_t j = 0; j < all.size(); ++j)
            if (all[j].name == name && (internal || (all[j].flags & PUMICE_SCHEDULE_INTERNAL) == 0)) return Use{i, j};
        return std::nullopt;
    };
    if (beside)
        if (const auto found = in(*beside)) return found;
    for (std::size_t i = 0; i < plugins_.size(); ++i)
        if (const auto found = in(i)) return found;
    return std::nullopt;
}

Result<std::shared_ptr<Library>> Registry::library_of(std::size_t plugin) {
    const Found& found = plugins_[plugin];
    const std::lock_guard lock(mutex_);
    auto& place = libraries_[found.file];
    if (!place) {
        Marker marker(options_.state_folder, found.description.id);
        const Marked inside(&marker, true);
        auto opened = Library::open(found.file);
        if (!opened)
            return Error{opened.error().code,
                         fmt::format("plugin {}: {}", found.description.id, opened.error().message)};
        place = *std::move(opened);
    }
    return place;
}

Result<std::unique_ptr<Sampler>> Registry::make_sampler(const std::string& sampler, const std::string& schedule,
                                                        std::span<const std::string> params, Log log,
                                                        const std::string& family) {
    const auto use = find(kSampler, sampler);
    if (!use)
        return Error{Code::not_found, fmt::format("no sampler is called \"{}\"; there are {}", sampler,
                                                  fmt::join(sampler_names_, ", "))};
    // One that walks a schedule of its own still needs a name that exists.
    auto levels = find_schedule(schedule, std::nullopt, false);
    if (!levels)
        return Error{Code::not_found, fmt::format("no schedule is called \"{}\"; there are {}", schedule,
                                                  fmt::join(schedule_names_, ", "))};
    const Method& method = sampler_of(*use);
    if (!method.schedule.empty()) {
        levels = find_schedule(method.schedule, use->plugin, true);
        if (!levels)
            return Error{Code::not_found,
                         fmt::format("plugin {}: its sampler {} walks the schedule {}, which is missing",
                                     plugins_[use->plugin].description.id, sampler, method.schedule)};
    }
    std::vector<GivenParam> given;
    for (const std::string& text : params) {
        PUMICE_ASSIGN(given.emplace_back(), parse_param(text));
    }
    PluginMethod sampling = method_of(kSampler, *use), scheduling = method_of(kSchedule, *levels);
    PUMICE_ASSIGN(sampling.params, resolve_params(method, "sampler", given));
    PUMICE_ASSIGN(scheduling.params, resolve_params(scheduling.method, "schedule", given));
    PUMICE_ASSIGN(sampling.library, library_of(use->plugin));
    PUMICE_ASSIGN(scheduling.library, library_of(levels->plugin));
    return std::unique_ptr<Sampler>(new PluginSampler(std::move(sampling), std::move(scheduling),
                                                      family.empty() ? options_.family : family,
                                                      options_.state_folder, std::move(log)));
}

Result<std::unique_ptr<Guidance>> Registry::make_guidance(const std::string& guidance,
                                                          std::span<const std::string> params, Log log) {
    PUMICE_ASSIGN(auto method, make_method(kGuidance, guidance, params));
    return PluginGuidance::create(std::move(method), options_.state_folder, std::move(log));
}

Result<std::vector<float>> Registry::make_sigmas(const std::string& schedule, std::span<const std::string> params,
                                                 const SigmaTable& table, std::uint32_t steps) {
    const auto use = find_schedule(schedule, std::nullopt, true);
    if (!use)
        return Error{Code::not_found, fmt::format("no schedule is called \"{}\"; there are {}", schedule,
                                                  fmt::join(schedule_names_, ", "))};
    std::vector<GivenParam> given;
    for (const std::string& text : params) {
        PUMICE_ASSIGN(given.emplace_back(), parse_param(text));
    }
    PluginMethod method = method_of(kSchedule, *use);
    PUMICE_ASSIGN(method.params, resolve_params(method.method, "schedule", given));
    PUMICE_ASSIGN(method.library, library_of(use->plugin));
    return run_schedule(method, options_.family, table, steps, options_.log, options_.state_folder);
}

nlohmann::ordered_json Registry::json() const {
    using Json = nlohmann::ordered_json;
    Json list = Json::array();
    for (const Found& found : plugins_) {
        Json json = to_json(found.description);
        json["kinds"] = found.description.kinds();
        json["place"] = found.place;
        json["file"] = found.file.string();
        json["status"] = to_string(found.state);
        json["reason"] = found.reason;
        list.push_back(std::move(json));
    }
    Json json = {{"plugins", std::move(list)}};
    const std::pair<const char*, const std::vector<std::string>*> names[] = {
        {"samplers", &sampler_names_},   {"schedules", &schedule_names_},         {"guidances", &guidance_names_},
        {"controls", &control_names_},   {"upscalers", &upscaler_names_},         {"preprocessors", &preprocessor_names_},
        {"image_filters", &image_filter_names_}, {"crashed", &crashed_}};
    for (const auto& [key, all] : names) json[key] = *all;
    return json;
}

}  // namespace pumice::plugins
