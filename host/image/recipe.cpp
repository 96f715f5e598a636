#include "image/recipe.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "image/sampler_names.hpp"
#include "outcome.hpp"

namespace pumice::host {
namespace {

using Json = nlohmann::ordered_json;

/// Settings that are the picture's: not where it was made, nor files, which have hashes, nor how many at once.
bool belongs_to_picture(const Setting& s) {
    const bool file = s.key == "generate.model" || s.key == "generate.vae" || s.key == "generate.text_encoder" ||
                      s.key == "generate.refiner" || s.key == "generate.hires_model";
    return s.key == "precision" || (s.key.starts_with("generate.") && !file && s.key != "generate.batch" &&
                                   s.key != "generate.count");
}

const Setting* setting_of_picture(std::string_view key) {
    for (const Setting& s : all_settings())
        if (s.key == key && belongs_to_picture(s)) return &s;
    return nullptr;
}

std::optional<std::string> text_of(const Settings& settings, const Setting& setting) {
    std::optional<std::string> text;
    std::visit(
        [&](auto member) {
            const auto& value = settings.*member;
            if constexpr (!std::is_same_v<decltype(member), std::optional<std::vector<std::string>> Settings::*>)
                if (value) text = fmt::format("{}", *value);
        },
        setting.member);
    return text;
}

/// Member `key` as a text; empty when it is absent.
Expected<std::string> member(const Json& object, const char* key, const std::string& where) {
    const auto at = object.find(key);
    if (at == object.end()) return std::string();
    if (at->is_string()) return at->get<std::string>();
    return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: \"{}\" is no text", where, key)};
}

Expected<std::optional<Recipe::File>> file_member(const Json& root, const char* key, const std::string& where) {
    const auto at = root.find(key);
    if (at == root.end()) return std::optional<Recipe::File>();
    if (!at->is_object()) return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: \"{}\" is no object", where, key)};
    Recipe::File file;
    HOST_ASSIGN(file.hash, member(*at, "sha256", where));
    HOST_ASSIGN(file.name, member(*at, "name", where));
    return std::optional(file);
}

Expected<void> read_settings(const Json& root, Settings& settings, const std::string& where) {
    const auto list = root.find("settings");
    if (list == root.end() || !list->is_object()) return Failure{PUMICE_BAD_FORMAT, where + ": it has no \"settings\""};
    for (const auto& [key, value] : list->items()) {
        const Setting* const setting = setting_of_picture(key);
        const std::string at = fmt::format("{}: {}", where, shown(key));
        if (!setting)
            return Failure{PUMICE_UNSUPPORTED, at + ": this version does not know it"};
        if (!value.is_string()) return Failure{PUMICE_BAD_FORMAT, at + " is no text"};
        if (auto set = set_from_text(settings, *setting, value.get<std::string>(), at); !set)
            return Failure{PUMICE_BAD_FORMAT, set.failure().message};
    }
    return {};
}

Expected<void> read_lists(const Json& root, Recipe& recipe, const std::string& where) {
    const auto wrong = [&](const char* key) {
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: \"{}\" is not as Pumice writes it", where, key)};
    };
    if (const auto params = root.find("plugin_params"); params != root.end()) {
        if (!params->is_object()) return wrong("plugin_params");
        for (const auto& [key, value] : params->items()) {
            if (!value.is_string()) return wrong("plugin_params");
            recipe.settings.plugin_params[key] = value.get<std::string>();
        }
    }
    if (const auto filters = root.find("filters"); filters != root.end()) {
        if (!filters->is_array()) return wrong("filters");
        for (const Json& filter : *filters) {
            if (!filter.is_string()) return wrong("filters");
            recipe.filters.push_back(filter.get<std::string>());
        }
    }
    for (const auto& [key, networks] : {std::pair{"loras", &recipe.loras}, {"embeddings", &recipe.embeddings}}) {
        const auto list = root.find(key);
        if (list == root.end()) continue;
        if (!list->is_array()) return wrong(key);
        for (const Json& network : *list) {
            if (!network.is_object()) return wrong(key);
            Recipe::Network& read = networks->emplace_back();
            HOST_ASSIGN(read.name, member(network, "name", where));
            HOST_ASSIGN(read.file, member(network, "file", where));
            HOST_ASSIGN(read.sha256, member(network, "sha256", where));
        }
    }
    if (const auto controls = root.find("controls"); controls != root.end()) {
        if (!controls->is_array()) return wrong("controls");
        for (const Json& control : *controls) {
            if (!control.is_object()) return wrong("controls");
            Recipe::Control& read = recipe.controls.emplace_back();
            HOST_ASSIGN(read.option, member(control, "option", where));
            HOST_ASSIGN(read.image_sha256, member(control, "image_sha256", where));
        }
    }
    return {};
}

Expected<void> read_inputs(const Json& root, Recipe& recipe, const std::string& where) {
    for (const auto& [key, input] : {std::pair{"init_image", &recipe.init_image},
                                     {"mask", &recipe.mask},
                                     {"hires_model", &recipe.hires_model}}) {
        const auto at = root.find(key);
        if (at == root.end()) continue;
        if (!at->is_object()) return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: \"{}\" is no object", where, key)};
        Recipe::Input& read = input->emplace();
        HOST_ASSIGN(read.file, member(*at, "file", where));
        HOST_ASSIGN(read.sha256, member(*at, "sha256", where));
    }
    HOST_ASSIGN(recipe.outpaint, member(root, "outpaint", where));
    const auto flag = root.find("only_masked");
    if (flag != root.end() && !flag->is_boolean())
        return Failure{PUMICE_BAD_FORMAT, where + ": \"only_masked\" is neither true nor false"};
    recipe.only_masked = flag != root.end() && flag->get<bool>();
    return {};
}

Json file_json(const Recipe::File& file) {
    return {{"name", file.name}, {"sha256", file.hash}};
}

const PngText* find(std::span<const PngText> texts, std::string_view keyword) {
    const auto at = std::find_if(texts.begin(), texts.end(), [&](const PngText& t) { return t.keyword == keyword; });
    return at == texts.end() ? nullptr : &*at;
}

}  // namespace

std::string recipe_text(const Recipe& recipe) {
    Json settings = Json::object();
    for (const Setting& s : all_settings())
        if (belongs_to_picture(s))
            if (const auto text = text_of(recipe.settings, s)) settings[std::string(s.key)] = *text;
    Json root = {{"made_with", recipe.source}, {"prompt", recipe.prompt}, {"settings", settings}};
    if (!recipe.settings.plugin_params.empty()) root["plugin_params"] = recipe.settings.plugin_params;
    if (!recipe.filters.empty()) root["filters"] = recipe.filters;
    for (const Recipe::Control& c : recipe.controls)
        root["controls"].push_back({{"option", c.option}, {"image_sha256", c.image_sha256}});
    if (recipe.model) root["model"] = file_json(*recipe.model);
    if (recipe.vae) root["vae"] = file_json(*recipe.vae);
    if (recipe.text_encoder) root["text_encoder"] = file_json(*recipe.text_encoder);
    if (recipe.refiner) root["refiner"] = file_json(*recipe.refiner);
    for (const auto& [key, networks] : {std::pair{"loras", &recipe.loras}, {"embeddings", &recipe.embeddings}})
        for (const Recipe::Network& network : *networks) {
            Json& json = root[key].emplace_back(Json{{"name", network.name}, {"sha256", network.sha256}});
            if (!network.file.empty()) json["file"] = network.file;
        }
    for (const auto& [key, input] : {std::pair{"init_image", &recipe.init_image},
                                     {"mask", &recipe.mask},
                                     {"hires_model", &recipe.hires_model}})
        if (*input) root[key] = {{"file", (*input)->file}, {"sha256", (*input)->sha256}};
    if (!recipe.outpaint.empty()) root["outpaint"] = recipe.outpaint;
    if (recipe.only_masked) root["only_masked"] = true;
    return root.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Settings without_picture(const Settings& settings) {
    Settings rest = settings;
    for (const Setting& s : all_settings())
        if (s.key.starts_with("generate.")) std::visit([&](auto member) { (rest.*member).reset(); }, s.member);
    rest.plugin_params.clear();
    return rest;
}

Expected<Recipe> parse_recipe_text(std::string_view json, const std::string& where) {
    const Json root = Json::parse(json, nullptr, false);
    if (!root.is_object()) return Failure{PUMICE_BAD_FORMAT, where + ": it is no JSON object"};
    Recipe recipe;
    HOST_ASSIGN(recipe.source, member(root, "made_with", where));
    HOST_ASSIGN(recipe.prompt, member(root, "prompt", where));
    HOST_TRY(read_settings(root, recipe.settings, where));
    HOST_TRY(read_lists(root, recipe, where));
    HOST_ASSIGN(recipe.model, file_member(root, "model", where));
    HOST_ASSIGN(recipe.vae, file_member(root, "vae", where));
    HOST_ASSIGN(recipe.text_encoder, file_member(root, "text_encoder", where));
    HOST_ASSIGN(recipe.refiner, file_member(root, "refiner", where));
    HOST_TRY(read_inputs(root, recipe, where));
    return recipe;
}

Expected<Recipe> read_recipe(std::span<const PngText> texts, const std::string& file) {
    const auto where = [&](const char* keyword) { return fmt::format("{}: the text \"{}\"", file, keyword); };
    if (const PngText* own = find(texts, "pumice")) return parse_recipe_text(own->text, where("pumice"));
    if (const PngText* theirs = find(texts, "parameters")) return parse_infotext(theirs->text, where("parameters"));
    if (const PngText* graph = find(texts, "prompt")) return parse_comfy_prompt(graph->text, where("prompt"));
    return Failure{PUMICE_BAD_FORMAT,
                   fmt::format("{}: it has no text that tells how it was made (pumice, parameters or prompt)", file)};
}

SamplerName sampler_named(std::string_view theirs) {
    SamplerName name;
    if (theirs.ends_with("_gpu")) theirs.remove_suffix(4);  // ComfyUI's, of the same mathematics
    for (const std::string_view schedule : {"Karras", "Exponential"})
        if (theirs.size() > schedule.size() && theirs.ends_with(schedule) &&
            theirs[theirs.size() - schedule.size() - 1] == ' ') {
            name.schedule = schedule_named(schedule, "");
            theirs.remove_suffix(schedule.size() + 1);
        }
    if (theirs == "DPM++ 2M SDE Heun" || theirs == "dpmpp_2m_sde_heun") {
        name.sampler = "dpmpp_2m_sde";
        name.params["sampler.solver"] = "heun";
        return name;
    }
    if (theirs == "uni_pc_bh2") {
        name.sampler = "unipc";
        name.params["sampler.variant"] = "bh2";
        return name;
    }
    for (const OtherNames& names : kSamplerNames)
        if (theirs == names.web_ui || theirs == names.comfy || theirs == names.ours) name.sampler = names.ours;
    if (name.sampler.empty()) name.sampler = theirs;
    return name;
}

std::string schedule_named(std::string_view theirs, const std::string& sampler) {
    if (theirs == "Automatic") {
        for (const OtherNames& names : kSamplerNames)
            if (names.ours == sampler) return std::string(names.automatic);
        return "normal";
    }
    if (theirs == "Uniform") return "normal";
    for (const OtherNames& names : kScheduleNames)
        if (!theirs.empty() && (theirs == names.web_ui || theirs == names.comfy || theirs == names.ours))
            return std::string(names.ours);
    return std::string(theirs);
}

}  // namespace pumice::host
