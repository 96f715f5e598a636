#include <algorithm>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/adapter_folders.hpp"
#include "cli/commands.hpp"
#include "cli/from_picture.hpp"
#include "cli/output_names.hpp"
#include "cli/progress.hpp"
#include "cli/prompts.hpp"
#include "cli/starter.hpp"
#include "cli/workbench.hpp"
#include "image/atomic_file.hpp"
#include "image/infotext.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// 32 bits, which every random number generator takes whole.
std::uint64_t random_seed() {
    return std::random_device()();
}

/// What the settings leave open is the model's choice.
Request make_request(const Model& model, const host::Settings& s, const std::string& prompt) {
    Request request = model.defaults();
    const auto set = [](std::uint32_t& value, const std::optional<std::uint64_t>& setting) {
        if (setting) value = static_cast<std::uint32_t>(*setting);
    };
    request.prompt = prompt;
    request.negative_prompt = s.negative_prompt.value_or("");
    set(request.width, s.width);
    set(request.height, s.height);
    set(request.steps, s.steps);
    set(request.batch, s.batch);
    set(request.clip_skip, s.clip_skip);
    if (s.cfg) request.guidance_scale = static_cast<float>(*s.cfg);
    request.sampler = s.sampler.value_or(request.sampler);
    request.schedule = s.schedule.value_or(request.schedule);
    // "none" overrules a configuration file.
    if (s.guidance && *s.guidance != "none") request.guidance = *s.guidance;
    const auto set_real = [](float& value, const std::optional<double>& setting) {
        if (setting) value = static_cast<float>(*setting);
    };
    set(request.original_width, s.original_width);
    set(request.original_height, s.original_height);
    set(request.crop_left, s.crop_left);
    set(request.crop_top, s.crop_top);
    set(request.target_width, s.target_width);
    set(request.target_height, s.target_height);
    set_real(request.aesthetic_score, s.aesthetic_score);
    set_real(request.negative_aesthetic_score, s.negative_aesthetic_score);
    set_real(request.refiner_switch, s.refiner_switch);
    request.seed = s.seed ? *s.seed : random_seed();
    request.variation_seed = s.variation_seed ? *s.variation_seed : random_seed();
    set_real(request.variation_strength, s.variation_strength);
    set(request.seed_width, s.seed_width);
    set(request.seed_height, s.seed_height);
    request.eta_seed_delta = s.eta_seed_delta.value_or(0);
    const std::string seamless = s.seamless.value_or("none");
    request.seamless_x = seamless == "x" || seamless == "both";
    request.seamless_y = seamless == "y" || seamless == "both";
    if (s.rng.value_or("torch-cpu") == "philox") request.rng = PUMICE_RNG_PHILOX;
    if (s.emphasis.value_or("original") == "no-norm") request.emphasis = PUMICE_EMPHASIS_NO_NORM;
    return request;
}

constexpr const char* fill_names[] = {"original", "fill", "noise", "nothing"};

pumice_mask_fill fill_of(const std::string& name) {
    if (name == "fill") return PUMICE_MASK_FILL;
    if (name == "noise") return PUMICE_MASK_NOISE;
    return name == "nothing" ? PUMICE_MASK_NOTHING : PUMICE_MASK_ORIGINAL;
}

std::uint32_t extended_width(const Picture& p) {
    return p.width + p.extend_left + p.extend_right;
}
std::uint32_t extended_height(const Picture& p) {
    return p.height + p.extend_top + p.extend_bottom;
}

/// The files of --init-image and --mask, and how they are used.
Expected<std::optional<Picture>> read_picture(const CommandLine& line, const host::Settings& s) {
    if (!line.init_image) return std::optional<Picture>{};
    HOST_ASSIGN(const host::DecodedImage image, host::read_png(*line.init_image));
    Picture picture;
    picture.width = image.width;
    picture.height = image.height;
    picture.rgb = host::on_white(image);
    if (line.mask) {
        HOST_ASSIGN(const host::DecodedImage mask, host::read_png(*line.mask));
        picture.mask_width = mask.width;
        picture.mask_height = mask.height;
        picture.mask = host::to_gray(host::on_white(mask));
    }
    if (s.strength) picture.strength = static_cast<float>(*s.strength);
    if (s.mask_blur) picture.mask_blur = static_cast<float>(*s.mask_blur);
    if (s.image_cfg) picture.image_guidance_scale = static_cast<float>(*s.image_cfg);
    if (s.mask_padding) picture.mask_padding = static_cast<std::uint32_t>(*s.mask_padding);
    const std::string resize = s.resize_mode.value_or("stretch");
    picture.resize = resize == "crop"   ? PUMICE_RESIZE_CROP
                     : resize == "fill" ? PUMICE_RESIZE_FILL
                                        : PUMICE_RESIZE_STRETCH;
    picture.fill = fill_of(s.mask_fill.value_or("original"));
    picture.only_masked = line.only_masked;
    if (line.outpaint) {
        const Outpaint& o = *line.outpaint;
        picture.extend_left = o.left;
        picture.extend_top = o.top;
        picture.extend_right = o.right;
        picture.extend_bottom = o.bottom;
        // Up to multiples of 8, at an edge that moves anyway.
        (o.right ? picture.extend_right : picture.extend_left) += (8 - extended_width(picture) % 8) % 8;
        (o.bottom ? picture.extend_bottom : picture.extend_top) += (8 - extended_height(picture) % 8) % 8;
        if (!s.mask_fill) picture.fill = PUMICE_MASK_FILL;
    }
    return std::optional<Picture>(std::move(picture));
}

/// Without a size of its own, and when it goes on from it, a request has its picture's, as near as it can be.
void size_like(const Picture& picture, const host::Settings& s, bool outpainted, Request& request) {
    const auto near = [](std::uint32_t side) { return std::clamp(side / 8 * 8, 64u, 16384u); };
    if (!outpainted && (s.width || s.height || picture.only_masked)) return;
    request.width = near(extended_width(picture));
    request.height = near(extended_height(picture));
}

/// The second pass, of a size as the web UI takes it: cut to multiples of 8.
Expected<std::optional<Hires>> make_hires(const host::Settings& s, const Request& request) {
    if (!s.hires) {
        for (const auto& [given, flag] : {std::pair{s.hires_steps.has_value(), "--hires-steps"},
                                          {s.hires_strength.has_value(), "--hires-strength"},
                                          {s.hires_sampler.has_value(), "--hires-sampler"},
                                          {s.hires_upscaler.has_value(), "--hires-upscaler"},
                                          {s.hires_model.has_value(), "--hires-model"}})
            if (given)
                return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{} needs how much larger: --hires SCALE", flag)};
        return std::optional<Hires>{};
    }
    const auto scaled = [&](std::uint32_t side) {
        return static_cast<std::uint32_t>(double(side) * *s.hires) / 8 * 8;
    };
    Hires hires;
    hires.width = scaled(request.width);
    hires.height = scaled(request.height);
    hires.steps = static_cast<std::uint32_t>(s.hires_steps.value_or(0));
    if (s.hires_strength) hires.strength = static_cast<float>(*s.hires_strength);
    hires.sampler = s.hires_sampler.value_or("");
    if (const std::string upscaler = s.hires_upscaler.value_or(""); upscaler != "latent") hires.upscaler = upscaler;
    if (s.hires_model) {
        HOST_ASSIGN(const fs::path file, find_model(*s.hires_model, s));
        hires.upscaler_model = file.string();
    }
    return std::optional<Hires>(std::move(hires));
}

std::string rng_name(pumice_rng rng) {
    return rng == PUMICE_RNG_PHILOX ? "philox" : "torch-cpu";
}

/// Those given of one kind, "phi" and "0.7".
std::vector<std::pair<std::string, std::string>> params_of(const std::string& kind, const Request& request) {
    std::vector<std::pair<std::string, std::string>> params;
    for (const std::string& param : request.plugin_params) {
        const std::size_t equals = param.find('=');
        if (param.rfind(kind + ".", 0) == 0)
            params.emplace_back(param.substr(kind.size() + 1, equals - kind.size() - 1), param.substr(equals + 1));
    }
    return params;
}

std::vector<std::string> control_infotexts(const std::vector<ControlOption>& options) {
    std::vector<std::string> texts;
    for (const ControlOption& option : options) texts.push_back(control_infotext(option));
    return texts;
}

/// One run of the command.
class Generation {
public:
    Generation(const Context& context, Workbench& bench)
        : context_(context), bench_(bench), view_(stderr, ProgressView::style_for(stderr, context.line.quiet)) {}

    Expected<void> run();
    /// The first one, in memory.
    Expected<MadePicture> picture();

private:
    Expected<void> read_control_pictures(Request&) const;
    /// `request` receives what was asked of the engine.
    Expected<Images> make(Request& request);
    Expected<void> write(const Images&, const Request&);
    std::vector<std::pair<std::string, std::string>> more_info(const Request&, std::size_t index) const;
    void add_hires(std::vector<std::pair<std::string, std::string>>& more) const;
    host::PictureInfo info(const Request&, std::size_t index, std::uint64_t seed, const Json& report) const;
    void report(const Request&, const Images&) const;

    const Context& context_;
    Workbench& bench_;
    ProgressView view_;
    Clock::time_point begin_ = Clock::now();
    fs::path model_file_;
    std::string model_hash_;
    fs::path refiner_file_;
    std::optional<Model> refiner_;
    std::string refiner_hash_;
    std::vector<std::string> files_;
    double write_seconds_ = 0;
};

Expected<Images> Generation::make(Request& request) {
    const host::Settings& settings = context_.settings;
    HOST_ASSIGN(model_file_, find_model(settings.model.value_or(""), settings));
    view_.loading(model_file_.filename().string());
    HOST_ASSIGN(std::optional<Picture> picture, read_picture(context_.line, settings));
    HOST_TRY(bench_.open(context_, [this] { view_.clear(); }));
    if (settings.refiner) {
        HOST_ASSIGN(refiner_file_, find_model(*settings.refiner, settings));
        pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
        options.precision = precision_of(settings);
        options.memory_limit = settings.memory.value_or(0);
        HOST_ASSIGN(refiner_, Model::load(bench_.engine(), refiner_file_.string(), options));
        HOST_ASSIGN(refiner_hash_, bench_.hash(refiner_file_).get());
    }
    HOST_ASSIGN(Model* const model, bench_.model(model_file_, settings));
    // Reading a large file twice takes seconds: beside the work, not before it.
    const auto hash = bench_.hash(model_file_);
    request = make_request(*model, settings, *context_.line.prompt);
    if (picture) size_like(*picture, settings, context_.line.outpaint.has_value(), request);
    request.picture = std::move(picture);
    if (refiner_) request.refiner = &*refiner_;
    HOST_ASSIGN(request.hires, make_hires(settings, request));
    request.filters = context_.line.filters;
    HOST_TRY(prepare_prompts(request, context_.line.styles, settings));
    request.adapter_folders = lora_folders(settings);
    request.embedding_folders = embedding_folders(settings);
    for (const std::string& lora : context_.line.loras) HOST_TRY(add_lora(lora, request.prompt, request.adapter_folders));
    std::vector<UsedMethod> used = {{"sampler", request.sampler}, {"schedule", request.schedule}};
    if (!request.guidance.empty()) used.push_back({"guidance", request.guidance});
    for (const std::string& filter : request.filters) used.push_back({"image_filter", filter});
    if (request.hires && !request.hires->upscaler.empty()) used.push_back({"upscaler", request.hires->upscaler});
    for (const ControlOption& control : context_.line.controls)
        if (!control.use.preprocessor.empty()) used.push_back({"preprocessor", control.use.preprocessor});
    HOST_ASSIGN(request.plugin_params, plugin_params(context_, bench_.plugins(), used));
    HOST_TRY(read_control_pictures(request));
    request.on_progress = [this](const pumice_progress& progress) { view_.update(progress); };
    request.cancel = &bench_.interrupt.cancel();
    HOST_ASSIGN(Images images, model->generate(request));
    HOST_ASSIGN(model_hash_, hash.get());
    view_.clear();
    return images;
}

Expected<void> Generation::run() {
    const OutputNames names(context_.line.output, context_.settings.output_folder);
    HOST_TRY(names.check());
    Request request;
    HOST_ASSIGN(const Images images, make(request));
    HOST_TRY(write(images, request));
    report(request, images);
    return bench_.opened().check_validation();
}

Expected<MadePicture> Generation::picture() {
    Request request;
    HOST_ASSIGN(const Images images, make(request));
    const Images::Image image = images[0];
    const Json report = Json::parse(images.report());
    return MadePicture{image.width, image.height, {image.rgb.begin(), image.rgb.end()},
                       host::infotext(info(request, 0, image.seed, report))};
}

Expected<void> Generation::read_control_pictures(Request& request) const {
    for (const ControlOption& option : context_.line.controls) {
        HOST_ASSIGN(host::DecodedImage image, host::read_png(option.image));
        Control& control = request.controls.emplace_back(option.use);
        control.width = image.width;
        control.height = image.height;
        // What is transparent is black: no edge, nothing near.
        for (std::size_t i = 0; i < image.pixels.size(); i += image.channels)
            for (std::size_t c = 0; c < 3; ++c)
                control.rgb.push_back(image.channels == 4 && image.pixels[i + 3] == 0 ? std::uint8_t(0)
                                                                                      : image.pixels[i + c]);
    }
    return {};
}

/// In the web UI's words, as the next.
void Generation::add_hires(std::vector<std::pair<std::string, std::string>>& more) const {
    const host::Settings& s = context_.settings;
    more.emplace_back("Denoising strength", fmt::format("{}", s.hires_strength.value_or(0.7)));
    more.emplace_back("Hires upscale", fmt::format("{}", *s.hires));
    if (s.hires_steps) more.emplace_back("Hires steps", fmt::to_string(*s.hires_steps));
    more.emplace_back("Hires upscaler", s.hires_model      ? fs::path(*s.hires_model).stem().string()
                                        : s.hires_upscaler ? *s.hires_upscaler
                                                           : "Latent");
    if (s.hires_sampler) more.emplace_back("Hires sampler", *s.hires_sampler);
}

std::vector<std::pair<std::string, std::string>> Generation::more_info(const Request& request,
                                                                       std::size_t index) const {
    std::vector<std::pair<std::string, std::string>> more;
    if (request.variation_strength > 0) {
        more.emplace_back("Variation seed", fmt::to_string(request.variation_seed + index));
        more.emplace_back("Variation seed strength", fmt::format("{}", request.variation_strength));
    }
    if (request.seed_width || request.seed_height)
        more.emplace_back("Seed resize from",
                          fmt::format("{}x{}", request.seed_width ? request.seed_width : request.width,
                                      request.seed_height ? request.seed_height : request.height));
    if (request.eta_seed_delta) more.emplace_back("ENSD", fmt::to_string(request.eta_seed_delta));
    if (request.seamless_x || request.seamless_y) more.emplace_back("Tiling", *context_.settings.seamless);
    if (const auto& picture = request.picture) {
        more.emplace_back("Denoising strength", fmt::format("{}", picture->strength));
        if (!picture->mask.empty()) {
            more.emplace_back("Mask blur", fmt::format("{}", picture->mask_blur));
            if (picture->fill != PUMICE_MASK_ORIGINAL)
                more.emplace_back("Masked content", fill_names[picture->fill]);
            if (picture->only_masked) {
                more.emplace_back("Inpaint area", "Only masked");
                more.emplace_back("Masked area padding", fmt::to_string(picture->mask_padding));
            }
        }
        if (const auto& o = context_.line.outpaint)
            more.emplace_back("Outpainting", fmt::format("left {} top {} right {} bottom {}", o->left, o->top, o->right,
                                                         o->bottom));
        if (context_.settings.image_cfg)
            more.emplace_back("Image CFG scale", fmt::format("{}", picture->image_guidance_scale));
    }
    if (request.hires) add_hires(more);
    if (request.refiner) {
        more.emplace_back("Refiner",
                          fmt::format("{} [{}]", refiner_file_.stem().string(), refiner_hash_.substr(0, 10)));
        more.emplace_back("Refiner switch at", fmt::format("{}", request.refiner_switch));
    }
    return more;
}

host::PictureInfo Generation::info(const Request& request, std::size_t index, std::uint64_t seed,
                                   const Json& report) const {
    std::vector<std::pair<std::string, std::string>> loras;
    for (const Json& adapter : report["adapters"]) loras.emplace_back(adapter["name"], adapter["hash"]);
    std::vector<std::pair<std::string, std::string>> embeddings;
    for (const Json& embedding : report["embeddings"]) embeddings.emplace_back(embedding["name"], embedding["hash"]);
    return {.prompt = request.prompt,
            .negative_prompt = request.negative_prompt,
            .steps = request.steps,
            .sampler = request.sampler,
            .schedule = request.schedule,
            .guidance = request.guidance,
            .guidance_params = params_of("guidance", request),
            .controls = control_infotexts(context_.line.controls),
            .loras = std::move(loras),
            .embeddings = std::move(embeddings),
            .emphasis = request.emphasis == PUMICE_EMPHASIS_NO_NORM ? "No norm" : "",
            .guidance_scale = double(request.guidance_scale),
            .seed = seed,
            .width = request.width,
            .height = request.height,
            .model_hash = model_hash_,
            .model_name = model_file_.stem().string(),
            .clip_skip = request.clip_skip,
            .rng = rng_name(request.rng),
            .more = more_info(request, index),
            .version = fmt::format("pumice {}", pumice::version().text)};
}

Expected<void> Generation::write(const Images& images, const Request& request) {
    const auto begin = Clock::now();
    const auto held = bench_.interrupt.hold();
    OutputNames names(context_.line.output, context_.settings.output_folder);
    const Json report = Json::parse(images.report());
    const std::string precision = report["precision"].get<std::string>();
    for (std::size_t i = 0; i < images.size(); ++i) {
        const Images::Image image = images[i];
        HOST_ASSIGN(std::string recipe,
                    picture_recipe(context_, {request, image.seed, request.variation_seed + i, precision, rng_name(request.rng),
                                              {model_hash_, model_file_.stem().string()}}));
        HOST_ASSIGN(const auto png, host::encode_png({image.width, image.height, image.rgb,
                                                      host::infotext(info(request, i, image.seed, report)), false, recipe}));
        HOST_ASSIGN(const fs::path file, names.write(i, png));
        files_.push_back(file.string());
    }
    write_seconds_ = seconds_since(begin);
    return {};
}

void Generation::report(const Request& request, const Images& images) const {
    const Engine& engine = bench_.engine();
    Json json = Json::parse(images.report());
    const double total = seconds_since(begin_);
    if (!context_.line.json) {
        for (const std::string& file : files_) fmt::print("{}\n", file);
        if (context_.line.quiet) return;
        for (const auto& note : json["notes"]) fmt::print(stderr, "note: {}\n", note.get<std::string>());
        double steps = 0;
        for (const auto& step : json["timings"]["steps"]) steps += step.get<double>();
        fmt::print(stderr, "seed {}, {}x{}, {} steps in {:.1f} s, {:.1f} s in all, on {}\n", request.seed,
                   request.width, request.height, json["timings"]["steps"].size(), steps, total, engine.device().name);
        return;
    }
    json["timings"]["write"] = write_seconds_;
    json["timings"]["total"] = total;
    const pumice_device_info device = engine.device();
    Json whole = {
        {"files", files_},
        {"seed", request.seed},
        {"prompt", request.prompt},
        {"negative_prompt", request.negative_prompt},
        {"width", request.width},
        {"height", request.height},
        {"steps", request.steps},
        {"cfg", request.guidance_scale},
        {"sampler", request.sampler},
        {"schedule", request.schedule},
        {"guidance", request.guidance.empty() ? "none" : request.guidance},
        {"plugin_params", request.plugin_params},
        {"filters", request.filters},
        {"controls", control_infotexts(context_.line.controls)},
        {"adapters", json["adapters"]},
        {"embeddings", json["embeddings"]},
        {"rng", rng_name(request.rng)},
        {"batch", request.batch},
        {"clip_skip", request.clip_skip},
        {"model", {{"file", model_file_.string()}, {"sha256", model_hash_}}},
        {"device", {{"name", device.name}, {"type", device.type}, {"driver", device.driver}, {"uuid", device.uuid}}},
        {"precision", json["precision"]},
        {"timings", json["timings"]},
        {"memory", json["memory"]},
        {"unet_flops", json["unet_flops"]},
        {"notes", json["notes"]},
        {"version", pumice::version().text}};
    if (request.picture) {
        whole["init_image"] = *context_.line.init_image;
        whole["strength"] = request.picture->strength;
        if (context_.line.mask) whole["mask"] = *context_.line.mask;
    }
    if (request.hires)
        whole["hires"] = {{"width", request.hires->width},
                          {"height", request.hires->height},
                          {"steps", request.hires->steps == 0 ? request.steps : request.hires->steps},
                          {"strength", request.hires->strength},
                          {"sampler", request.hires->sampler.empty() ? request.sampler : request.hires->sampler},
                          {"upscaler", request.hires->upscaler.empty() && request.hires->upscaler_model.empty()
                                           ? "latent"
                                           : request.hires->upscaler},
                          {"model", request.hires->upscaler_model}};
    if (request.refiner)
        whole["refiner"] = {{"file", refiner_file_.string()},
                            {"sha256", refiner_hash_},
                            {"switch", request.refiner_switch}};
    fmt::print("{}\n", whole.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Expected<void> run_generate(const Context& context) {
    if (context.line.from) {
        HOST_ASSIGN(Context from, context_from_picture(context));
        from.line.from.reset();
        return run_generate(from);
    }
    if (is_grid(context.line)) return run_grid(context);
    Workbench bench;
    return Generation(context, bench).run();
}

Expected<MadePicture> make_picture(const Context& context, Workbench& bench) {
    return Generation(context, bench).picture();
}

}  // namespace pumice::cli
