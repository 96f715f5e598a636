// pumice info.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "image/recipe.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string file_text(const host::Recipe::File& file) {
    if (file.hash.empty()) return file.name;
    return file.name.empty() ? file.hash : fmt::format("{} ({})", file.name, file.hash.substr(0, 10));
}

/// Line breaks in a cell of their own would break the table.
std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\r') c = ' ';
    return text;
}

void print_table(const std::string& file, const host::PngTexts& png, const host::Recipe& recipe) {
    std::vector<std::vector<std::string>> rows = {{"file", fmt::format("{}, {}x{}", file, png.width, png.height)},
                                                  {"made with", recipe.source},
                                                  {"prompt", one_line(recipe.prompt)}};
    const Json settings = Json::parse(host::recipe_text(recipe))["settings"];
    for (const auto& [key, value] : settings.items()) {
        const std::size_t dot = key.find('.');
        rows.push_back({dot == std::string::npos ? key : key.substr(dot + 1), one_line(value.get<std::string>())});
    }
    for (const auto& [key, value] : recipe.settings.plugin_params) rows.push_back({key, one_line(value)});
    for (const std::string& filter : recipe.filters) rows.push_back({"filter", filter});
    for (const host::Recipe::Control& control : recipe.controls) rows.push_back({"control", one_line(control.option)});
    if (recipe.model) rows.push_back({"model", file_text(*recipe.model)});
    if (recipe.vae) rows.push_back({"vae", file_text(*recipe.vae)});
    if (recipe.text_encoder) rows.push_back({"text encoder", file_text(*recipe.text_encoder)});
    if (recipe.refiner) rows.push_back({"refiner", file_text(*recipe.refiner)});
    for (const auto& [key, networks] : {std::pair{"LoRA", &recipe.loras}, {"embedding", &recipe.embeddings}})
        for (const host::Recipe::Network& n : *networks)
            rows.push_back({key, one_line(n.sha256.empty() ? n.name : fmt::format("{} ({})", n.name, n.sha256.substr(0, 10)))});
    for (const auto& [key, input] : {std::pair{"init image", &recipe.init_image},
                                     {"mask", &recipe.mask},
                                     {"hires model", &recipe.hires_model}})
        if (*input) rows.push_back({key, one_line((*input)->file)});
    if (!recipe.outpaint.empty()) rows.push_back({"outpaint", recipe.outpaint});
    if (recipe.only_masked) rows.push_back({"only masked", "yes"});
    for (const auto& [key, value] : recipe.others) rows.push_back({key, one_line(value)});
    fmt::print("{}", table_text(std::move(rows)));
}

void print_json(const std::string& file, const host::PngTexts& png, const host::Recipe* recipe) {
    Json texts = Json::object();
    for (const host::PngText& text : png.texts) texts[text.keyword] = text.text;
    Json others = Json::object();
    if (recipe)
        for (const auto& [key, value] : recipe->others) others[key] = value;
    const Json json = {{"file", file},
                       {"width", png.width},
                       {"height", png.height},
                       {"texts", texts},
                       {"recipe", recipe ? Json::parse(host::recipe_text(*recipe)) : Json()},
                       {"others", others}};
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Expected<void> run_info(const Context& context) {
    const std::string& file = context.line.picture;
    HOST_ASSIGN(const host::PngTexts png, host::read_png_texts(file));
    if (context.line.raw) {
        for (const host::PngText& text : png.texts) fmt::print("{}:\n{}\n", text.keyword, text.text);
        return {};
    }
    const auto recipe = host::read_recipe(png.texts, file);
    if (context.line.json) {
        print_json(file, png, recipe ? &*recipe : nullptr);
        if (!recipe) return recipe.failure();
        return {};
    }
    if (!recipe) return recipe.failure();
    print_table(file, png, *recipe);
    return {};
}

}  // namespace pumice::cli
