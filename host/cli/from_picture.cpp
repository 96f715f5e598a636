#include "cli/from_picture.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "cli/adapter_folders.hpp"
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

/// A file that took part, if it is still what it was: where it was, or beside the picture.
Expected<std::string> same_file(const std::string& file, const std::string& sha256, const std::string& picture,
                                const char* what, const char* option) {
    const std::string beside = (fs::path(picture).parent_path() / fs::path(file).filename()).string();
    bool there = false;
    for (const std::string& each : {file, beside}) {
        const auto digest = file_sha256(each);
        if (digest && *digest == sha256) return each;
        there = there || digest;
    }
    if (there)
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: it is not the {} that {} was made with (SHA-256 {}…); name "
                                                      "another with {}",
                                                      file, what, picture, sha256.substr(0, 10), option)};
    return Failure{PUMICE_NOT_FOUND, fmt::format("{} was made with the {} {} (SHA-256 {}…), which is not there; name it "
                                                 "with {}",
                                                 picture, what, file, sha256.substr(0, 10), option)};
}

Expected<void> take_controls(const host::Recipe& recipe, CommandLine& line) {
    for (const host::Recipe::Control& control : recipe.controls) {
        HOST_ASSIGN(ControlOption option, parse_control(control.option));
        HOST_ASSIGN(option.image,
                    same_file(option.image, control.image_sha256, *line.from, "control picture", "--control"));
        line.controls.push_back(std::move(option));
    }
    return {};
}

Expected<void> take_inputs(const host::Recipe& recipe, CommandLine& line) {
    if (recipe.lacks_picture && !line.init_image)
        return Failure{PUMICE_NOT_FOUND, fmt::format("{} was made from another picture, which it does not name; name it "
                                                     "with --init-image",
                                                     *line.from)};
    if (recipe.lacks_mask && !line.mask)
        return Failure{PUMICE_NOT_FOUND,
                       fmt::format("{} was made with a mask, which it does not name; name it with --mask", *line.from)};
    if (line.init_image || !recipe.init_image) {
        line.only_masked = line.only_masked || (recipe.only_masked && line.mask);
        return {};
    }
    HOST_ASSIGN(line.init_image, same_file(recipe.init_image->file, recipe.init_image->sha256, *line.from, "picture",
                                           "--init-image"));
    if (recipe.mask && !line.mask) {
        HOST_ASSIGN(line.mask, same_file(recipe.mask->file, recipe.mask->sha256, *line.from, "mask", "--mask"));
        line.only_masked = line.only_masked || recipe.only_masked;
    }
    if (!recipe.outpaint.empty() && !line.outpaint) {
        HOST_ASSIGN(line.outpaint, read_outpaint(recipe.outpaint));
    }
    return {};
}

Expected<void> take_hires_model(const host::Recipe& recipe, const Context& given, host::Settings& settings) {
    if (given.line.settings.hires_model || !recipe.hires_model) return {};
    const auto& [file, sha256] = *recipe.hires_model;
    const auto named = find_model(file, settings, ModelKind::upscaler);
    const auto digest = named ? file_sha256(named->string()) : Expected<std::string>(named.failure());
    if (digest && (sha256.empty() || *digest == sha256)) {
        settings.hires_model = file;
        return {};
    }
    if (sha256.empty())
        return Failure{PUMICE_NOT_FOUND, fmt::format("{} was made with the upscaler {}, which is in no model folder; name "
                                                     "one with --hires-model, or --hires-upscaler",
                                                     *given.line.from, host::shown(file))};
    HOST_ASSIGN(settings.hires_model, same_file(file, sha256, *given.line.from, "upscaler", "--hires-model"));
    return {};
}

/// A weight file of this name in the folders, in small letters as prompts are read; empty: none.
std::string find_network(const std::string& name, const std::vector<std::string>& folders) {
    const auto lowered = [](std::string text) {
        for (char& c : text)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return text;
    };
    const std::string wanted = lowered(fs::path(name).filename().string());
    for (const std::string& folder : folders) {
        std::error_code error;
        for (auto at = fs::recursive_directory_iterator(folder, error); at != fs::recursive_directory_iterator();
             at.increment(error)) {
            if (error) break;
            const fs::path& file = at->path();
            if (lowered(file.stem().string()) == wanted || lowered(file.filename().string()) == wanted)
                return file.string();
        }
    }
    return {};
}

/// The LoRAs or embeddings of a picture: where they were, else by name in the user's folders. Missing is one when the
/// prompts are still the picture's.
Expected<void> take_networks(const std::vector<host::Recipe::Network>& networks, ModelKind kind, const Context& given,
                             const std::vector<std::string>& folders, std::vector<std::string>& found) {
    for (const host::Recipe::Network& network : networks) {
        const auto digest = network.file.empty() ? Expected<std::string>(Failure{}) : file_sha256(network.file);
        if (digest && *digest == network.sha256) {
            const fs::path parent = fs::path(network.file).parent_path();
            found.push_back(parent.empty() ? "." : parent.string());
            continue;
        }
        const std::string file = find_network(network.name, folders);
        if (file.empty()) {
            if (given.line.prompt) continue;
            return Failure{PUMICE_NOT_FOUND,
                           fmt::format("{} was made with the {} {}{}, which is in no folder of them; name one with {}",
                                       *given.line.from, to_string(kind), host::shown(network.name),
                                       network.sha256.empty() ? "" : fmt::format(" ({})", network.sha256.substr(0, 10)),
                                       kind == ModelKind::lora ? "--lora-folder" : "--embedding-folder")};
        }
        if (network.sha256.empty() || given.line.quiet) continue;
        const auto other = file_sha256(file);
        if (other && *other != network.sha256)
            fmt::print(stderr, "note: {} has the name but not the hash {} of the picture's {}\n", file,
                       network.sha256.substr(0, 10), to_string(kind));
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
    const host::Settings& typed = given.line.settings;
    context.settings = host::overlay(typed, host::overlay(recipe.settings, host::without_picture(given.settings)));
    // One picture: the batch of the file would make more.
    if (!typed.batch) context.settings.batch = 1;
    context.settings.count = typed.count;
    // The prompt has been through the wildcards.
    if (!given.line.prompt) context.settings.wildcards_folder = typed.wildcards_folder;
    HOST_TRY(find_files(recipe, typed, context.settings, given));
    HOST_TRY(take_hires_model(recipe, given, context.settings));
    CommandLine& line = context.line;
    HOST_TRY(take_networks(recipe.loras, ModelKind::lora, given, lora_folders(context.settings), line.lora_folders));
    HOST_TRY(take_networks(recipe.embeddings, ModelKind::embedding, given, embedding_folders(context.settings),
                           line.embedding_folders));
    if (!line.prompt) line.prompt = recipe.prompt;
    if (line.filters.empty()) line.filters = recipe.filters;
    if (line.controls.empty()) HOST_TRY(take_controls(recipe, line));
    HOST_TRY(take_inputs(recipe, line));
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
    s.stop_at.reset();
    if (made.stopped_at > 0) s.stop_at = made.stopped_at;
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
    recipe.loras = made.loras;
    recipe.embeddings = made.embeddings;
    if (const auto& model = context.settings.hires_model) {
        HOST_ASSIGN(const fs::path path, find_model(*model, context.settings, ModelKind::upscaler));
        HOST_ASSIGN(std::string digest, file_sha256(path.string()));
        recipe.hires_model = host::Recipe::Input{*model, std::move(digest)};
    }
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
