#include <algorithm>
#include <chrono>
#include <future>
#include <random>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/output_names.hpp"
#include "cli/progress.hpp"
#include "cli/starter.hpp"
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
    if (s.rng.value_or("torch-cpu") == "philox") request.rng = PUMICE_RNG_PHILOX;
    return request;
}

pumice_prediction prediction_of(const host::Settings& settings) {
    const std::string name = settings.prediction.value_or("auto");
    if (name == "eps") return PUMICE_PREDICTION_EPS;
    if (name == "v") return PUMICE_PREDICTION_V;
    return name == "v-zero-snr" ? PUMICE_PREDICTION_V_ZERO_SNR : PUMICE_PREDICTION_AUTO;
}

pumice_mask_fill fill_of(const std::string& name) {
    if (name == "fill") return PUMICE_MASK_FILL;
    if (name == "noise") return PUMICE_MASK_NOISE;
    return name == "nothing" ? PUMICE_MASK_NOTHING : PUMICE_MASK_ORIGINAL;
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
    return std::optional<Picture>(std::move(picture));
}

/// Without a size of its own a request has its picture's, as near as it can be.
void size_like(const Picture& picture, const host::Settings& s, Request& request) {
    const auto near = [](std::uint32_t side) { return std::clamp(side / 8 * 8, 64u, 16384u); };
    if (s.width || s.height || picture.only_masked) return;
    request.width = near(picture.width);
    request.height = near(picture.height);
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
    explicit Generation(const Context& context)
        : context_(context), view_(stderr, ProgressView::style_for(stderr, context.line.quiet)) {}

    Expected<void> run();

private:
    Expected<void> read_control_pictures(Request&) const;
    Expected<Model> load_model(const Engine&) const;
    Expected<void> write(const Images&, const Request&);
    std::vector<std::pair<std::string, std::string>> more_info(const Request&) const;
    void add_hires(std::vector<std::pair<std::string, std::string>>& more) const;
    host::PictureInfo info(const Request&, std::uint64_t seed) const;
    void report(const Engine&, const Request&, const Images&) const;

    const Context& context_;
    Interrupt interrupt_;
    ProgressView view_;
    Clock::time_point begin_ = Clock::now();
    fs::path model_file_;
    std::string model_hash_;
    fs::path refiner_file_;
    std::string refiner_hash_;
    std::vector<std::string> files_;
    double write_seconds_ = 0;
};

/// With the parts that are to come from other files.
Expected<Model> Generation::load_model(const Engine& engine) const {
    const host::Settings& settings = context_.settings;
    pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
    options.precision = precision_of(settings);
    options.prediction = prediction_of(settings);
    std::string vae, text_encoder;
    if (settings.vae) {
        HOST_ASSIGN(const fs::path file, find_model(*settings.vae, settings));
        vae = file.string();
        options.vae = vae.c_str();
    }
    if (settings.text_encoder) {
        HOST_ASSIGN(const fs::path file, find_model(*settings.text_encoder, settings));
        text_encoder = file.string();
        options.text_encoder = text_encoder.c_str();
    }
    return Model::load(engine, model_file_.string(), options);
}

Expected<void> Generation::run() {
    const OutputNames names(context_.line.output, context_.settings.output_folder);
    HOST_TRY(names.check());
    HOST_ASSIGN(model_file_, find_model(context_.settings.model.value_or(""), context_.settings));
    view_.loading(model_file_.filename().string());
    HOST_ASSIGN(const Plugins plugins, find_plugins(context_));
    HOST_TRY(check_plugin_names(context_, plugins));
    HOST_ASSIGN(std::optional<Picture> picture, read_picture(context_.line, context_.settings));
    HOST_ASSIGN(const CommandEngine opened, CommandEngine::open(context_, plugins, [this] { view_.clear(); }));
    const Engine& engine = opened.engine();
    std::optional<Model> refiner;
    if (context_.settings.refiner) {
        HOST_ASSIGN(refiner_file_, find_model(*context_.settings.refiner, context_.settings));
        pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
        options.precision = precision_of(context_.settings);
        HOST_ASSIGN(refiner, Model::load(engine, refiner_file_.string(), options));
        HOST_ASSIGN(refiner_hash_, file_sha256(refiner_file_.string()));
    }
    HOST_ASSIGN(Model model, load_model(engine));
    // Reading a large file twice takes seconds: beside the work, not before it.
    auto hash = std::async(std::launch::async, [file = model_file_.string()] { return file_sha256(file); });
    Request request = make_request(model, context_.settings, *context_.line.prompt);
    if (picture) size_like(*picture, context_.settings, request);
    request.picture = std::move(picture);
    if (refiner) request.refiner = &*refiner;
    HOST_ASSIGN(request.hires, make_hires(context_.settings, request));
    request.filters = context_.line.filters;
    std::vector<UsedMethod> used = {{"sampler", request.sampler}, {"schedule", request.schedule}};
    if (!request.guidance.empty()) used.push_back({"guidance", request.guidance});
    for (const std::string& filter : request.filters) used.push_back({"image_filter", filter});
    if (request.hires && !request.hires->upscaler.empty()) used.push_back({"upscaler", request.hires->upscaler});
    for (const ControlOption& control : context_.line.controls)
        if (!control.use.preprocessor.empty()) used.push_back({"preprocessor", control.use.preprocessor});
    HOST_ASSIGN(request.plugin_params, plugin_params(context_, plugins, used));
    HOST_TRY(read_control_pictures(request));
    request.on_progress = [this](const pumice_progress& progress) { view_.update(progress); };
    request.cancel = &interrupt_.cancel();
    HOST_ASSIGN(const Images images, model.generate(request));
    HOST_ASSIGN(model_hash_, hash.get());

    view_.clear();
    HOST_TRY(write(images, request));
    report(engine, request, images);
    return opened.check_validation();
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

std::vector<std::pair<std::string, std::string>> Generation::more_info(const Request& request) const {
    std::vector<std::pair<std::string, std::string>> more;
    if (const auto& picture = request.picture) {
        more.emplace_back("Denoising strength", fmt::format("{}", picture->strength));
        if (!picture->mask.empty()) {
            more.emplace_back("Mask blur", fmt::format("{}", picture->mask_blur));
            if (picture->fill != PUMICE_MASK_ORIGINAL)
                more.emplace_back("Masked content", context_.settings.mask_fill.value_or(""));
            if (picture->only_masked) {
                more.emplace_back("Inpaint area", "Only masked");
                more.emplace_back("Masked area padding", fmt::to_string(picture->mask_padding));
            }
        }
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

host::PictureInfo Generation::info(const Request& request, std::uint64_t seed) const {
    return {.prompt = request.prompt,
            .negative_prompt = request.negative_prompt,
            .steps = request.steps,
            .sampler = request.sampler,
            .schedule = request.schedule,
            .guidance = request.guidance,
            .guidance_params = params_of("guidance", request),
            .controls = control_infotexts(context_.line.controls),
            .guidance_scale = double(request.guidance_scale),
            .seed = seed,
            .width = request.width,
            .height = request.height,
            .model_hash = model_hash_,
            .model_name = model_file_.stem().string(),
            .clip_skip = request.clip_skip,
            .rng = rng_name(request.rng),
            .more = more_info(request),
            .version = fmt::format("pumice {}", pumice::version().text)};
}

Expected<void> Generation::write(const Images& images, const Request& request) {
    const auto begin = Clock::now();
    const auto held = interrupt_.hold();
    OutputNames names(context_.line.output, context_.settings.output_folder);
    for (std::size_t i = 0; i < images.size(); ++i) {
        const Images::Image image = images[i];
        HOST_ASSIGN(const auto png, host::encode_png({image.width, image.height, image.rgb,
                                                      host::infotext(info(request, image.seed))}));
        HOST_ASSIGN(const fs::path file, names.write(i, png));
        files_.push_back(file.string());
    }
    write_seconds_ = seconds_since(begin);
    return {};
}

void Generation::report(const Engine& engine, const Request& request, const Images& images) const {
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
    return Generation(context).run();
}

}  // namespace pumice::cli
