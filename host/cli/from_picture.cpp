#include "cli/from_picture.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "cli/starter.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using File = host::Recipe::File;

bool starts(const std::string& digest, const std::string& hash) {
    return !hash.empty() && digest.starts_with(hash);
}

std::string described(const File& file) {
    if (file.name.empty()) return file.hash;
    return file.hash.empty() ? file.name : fmt::format("{} ({})", file.name, file.hash.substr(0, 10));
}

/// The starter model is in no model folder.
std::optional<fs::path> as_starter(const File& wanted) {
    const auto starter = starter_model();
    if (!starter) return std::nullopt;
    if (wanted.hash.empty()) return wanted.name == "starter" ? std::optional(*starter) : std::nullopt;
    const auto digest = file_sha256(starter->string());
    return digest && starts(*digest, wanted.hash) ? std::optional(*starter) : std::nullopt;
}

Expected<std::string> find_file(const File& wanted, ModelKind kind, const Context& context) {
    if (kind == ModelKind::checkpoint)
        if (const auto starter = as_starter(wanted)) return starter->string();
    ModelCache cache = model_cache(context.settings);
    const std::vector<ModelEntry> entries =
        context.settings.models_folders ? list_models(*context.settings.models_folders) : std::vector<ModelEntry>{};
    const ModelEntry *by_hash = nullptr, *by_name = nullptr;
    // Those of the same name first: then no other has to be read.
    for (const bool named : {true, false})
        for (const ModelEntry& e : entries) {
            if ((e.kind && *e.kind != kind) || by_hash) continue;
            if ((fs::path(e.name).filename() == wanted.name) != named) continue;
            if (named && !by_name) by_name = &e;
            if (wanted.hash.empty()) continue;
            if (const auto facts = cache.facts(e, true); facts && starts(facts->sha256, wanted.hash)) by_hash = &e;
        }
    cache.save();
    if (by_hash) return by_hash->path.string();
    if (by_name) {
        if (!wanted.hash.empty() && !context.line.quiet)
            fmt::print(stderr, "note: {} has the name but not the hash {} of the picture's {}\n",
                       by_name->path.string(), wanted.hash.substr(0, 10), to_string(kind));
        return by_name->path.string();
    }
    const char* const option = kind == ModelKind::checkpoint ? "-m"
                               : kind == ModelKind::vae      ? "--vae"
                                                             : "--text-encoder";
    return Failure{PUMICE_NOT_FOUND,
                   fmt::format("{} was made with the {} {}, which is in no model folder; name one with {}",
                               *context.line.from, to_string(kind), described(wanted), option)};
}

Expected<void> find_files(const host::Recipe& recipe, const host::Settings& given, host::Settings& settings,
                          const Context& context) {
    using S = host::Settings;
    const std::tuple<const std::optional<File>&, std::optional<std::string> S::*, ModelKind> files[] = {
        {recipe.model, &S::model, ModelKind::checkpoint},
        {recipe.vae, &S::vae, ModelKind::vae},
        {recipe.text_encoder, &S::text_encoder, ModelKind::text_encoder},
        {recipe.refiner, &S::refiner, ModelKind::checkpoint}};
    for (const auto& [wanted, setting, kind] : files) {
        settings.*setting = given.*setting;
        if (given.*setting || !wanted) continue;
        HOST_ASSIGN(settings.*setting, find_file(*wanted, kind, context));
    }
    return {};
}

Expected<void> take_controls(const host::Recipe& recipe, CommandLine& line) {
    for (const host::Recipe::Control& control : recipe.controls) {
        HOST_ASSIGN(ControlOption option, parse_control(control.option));
        HOST_ASSIGN(const std::string digest, file_sha256(option.image));
        if (digest != control.image_sha256)
            return Failure{PUMICE_BAD_FORMAT,
                           fmt::format("{}: it is not the control picture that {} was made with (SHA-256 "
                                       "{}…); name another with --control",
                                       option.image, *line.from, control.image_sha256.substr(0, 10))};
        line.controls.push_back(std::move(option));
    }
    return {};
}

/// A picture that took part, if it is still what it was.
Expected<std::string> same_file(const host::Recipe::Input& input, const std::string& picture, const char* option) {
    HOST_ASSIGN(const std::string digest, file_sha256(input.file));
    if (digest == input.sha256) return input.file;
    return Failure{PUMICE_BAD_FORMAT,
                   fmt::format("{}: it is not the picture that {} was made with (SHA-256 {}…); name another with {}",
                               input.file, picture, input.sha256.substr(0, 10), option)};
}

Expected<void> take_inputs(const host::Recipe& recipe, CommandLine& line) {
    if (line.init_image || !recipe.init_image) return {};
    HOST_ASSIGN(line.init_image, same_file(*recipe.init_image, *line.from, "--init-image"));
    if (recipe.mask && !line.mask) {
        HOST_ASSIGN(line.mask, same_file(*recipe.mask, *line.from, "--mask"));
        line.only_masked = line.only_masked || recipe.only_masked;
    }
    if (!recipe.outpaint.empty() && !line.outpaint) {
        HOST_ASSIGN(line.outpaint, read_outpaint(recipe.outpaint));
    }
    return {};
}

Expected<std::optional<host::Recipe::Input>> input_of(const std::optional<std::string>& file) {
    if (!file) return std::optional<host::Recipe::Input>();
    HOST_ASSIGN(std::string digest, file_sha256(*file));
    return std::optional(host::Recipe::Input{*file, std::move(digest)});
}

}  // namespace

Expected<Context> context_from_picture(const Context& given) {
    const std::string& picture = *given.line.from;
    HOST_ASSIGN(const host::PngTexts texts, host::read_png_texts(picture));
    HOST_ASSIGN(const host::Recipe recipe, host::read_recipe(texts.texts, picture));
    Context context = given;
    host::Settings below = given.settings;
    // Parameters that the file sets for other pictures were not this one's.
    below.plugin_params.clear();
    context.settings = host::overlay(given.line.settings, host::overlay(recipe.settings, below));
    // One picture: the batch of the file would make more.
    if (!given.line.settings.batch) context.settings.batch = 1;
    HOST_TRY(find_files(recipe, given.line.settings, context.settings, given));
    if (!context.line.prompt) context.line.prompt = recipe.prompt;
    if (context.line.filters.empty()) context.line.filters = recipe.filters;
    if (context.line.controls.empty()) HOST_TRY(take_controls(recipe, context.line));
    HOST_TRY(take_inputs(recipe, context.line));
    if (!recipe.others.empty() && !given.line.quiet) {
        std::string others;
        for (const auto& [key, value] : recipe.others) others += fmt::format("{}{}", others.empty() ? "" : ", ", key);
        fmt::print(stderr, "note: what {} tells of {} is not repeated\n", picture, host::shown(others));
    }
    return context;
}

Expected<std::string> picture_recipe(const Context& context, const MadeWith& made) {
    const Request& request = made.request;
    host::Recipe recipe;
    recipe.source = fmt::format("Pumice {}", version().text);
    recipe.prompt = request.prompt;
    host::Settings& s = recipe.settings = context.settings;
    s.negative_prompt = request.negative_prompt;
    s.width = request.width;
    s.height = request.height;
    s.steps = request.steps;
    s.clip_skip = request.clip_skip;
    // The shortest decimal that is the same float.
    if (!s.cfg) s.cfg = std::strtod(fmt::format("{}", request.guidance_scale).c_str(), nullptr);
    s.sampler = request.sampler;
    s.schedule = request.schedule;
    s.guidance = request.guidance.empty() ? "none" : request.guidance;
    s.seed = made.seed;
    if (request.variation_strength > 0) {
        s.variation_seed = made.variation_seed;
    } else {
        s.variation_seed.reset();
        s.variation_strength.reset();
    }
    s.refiner.reset();
    s.rng = made.rng;
    s.precision = made.precision;
    s.plugin_params.clear();
    for (const std::string& param : request.plugin_params)
        s.plugin_params[param.substr(0, param.find('='))] = param.substr(param.find('=') + 1);
    recipe.filters = request.filters;
    for (const ControlOption& control : context.line.controls) {
        HOST_ASSIGN(std::string digest, file_sha256(control.image));
        recipe.controls.push_back({control.text, std::move(digest)});
    }
    recipe.model = made.model;
    const std::tuple<const std::optional<std::string>&, std::optional<File>&, ModelKind> parts[] = {
        {context.settings.vae, recipe.vae, ModelKind::vae},
        {context.settings.text_encoder, recipe.text_encoder, ModelKind::text_encoder},
        {context.settings.refiner, recipe.refiner, ModelKind::checkpoint}};
    HOST_ASSIGN(recipe.init_image, input_of(context.line.init_image));
    HOST_ASSIGN(recipe.mask, input_of(context.line.mask));
    recipe.only_masked = context.line.only_masked;
    if (const auto& o = context.line.outpaint)
        recipe.outpaint = fmt::format("left={},top={},right={},bottom={}", o->left, o->top, o->right, o->bottom);
    for (const auto& [setting, file, kind] : parts) {
        if (!setting) continue;
        HOST_ASSIGN(const fs::path path, find_model(*setting, context.settings, kind));
        HOST_ASSIGN(std::string digest, file_sha256(path.string()));
        file = File{std::move(digest), path.stem().string()};
    }
    return host::recipe_text(recipe);
}

}  // namespace pumice::cli
