#include <chrono>
#include <future>
#include <random>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/from_picture.hpp"
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
    request.seed = s.seed ? *s.seed : random_seed();
    if (s.rng.value_or("torch-cpu") == "philox") request.rng = PUMICE_RNG_PHILOX;
    return request;
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
    host::PictureInfo info(const Request&, std::uint64_t seed) const;
    void report(const Engine&, const Request&, const Images&) const;

    const Context& context_;
    Interrupt interrupt_;
    ProgressView view_;
    Clock::time_point begin_ = Clock::now();
    fs::path model_file_;
    std::string model_hash_;
    std::vector<std::string> files_;
    double write_seconds_ = 0;
};

/// With the parts that are to come from other files.
Expected<Model> Generation::load_model(const Engine& engine) const {
    const host::Settings& settings = context_.settings;
    pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
    options.precision = precision_of(settings);
    std::string vae, text_encoder;
    if (settings.vae) {
        HOST_ASSIGN(const fs::path file, find_model(*settings.vae, settings, ModelKind::vae));
        vae = file.string();
        options.vae = vae.c_str();
    }
    if (settings.text_encoder) {
        HOST_ASSIGN(const fs::path file, find_model(*settings.text_encoder, settings, ModelKind::text_encoder));
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
    HOST_ASSIGN(const CommandEngine opened, CommandEngine::open(context_, plugins, [this] { view_.clear(); }));
    const Engine& engine = opened.engine();
    HOST_ASSIGN(Model model, load_model(engine));
    // Reading a large file twice takes seconds: beside the work, not before it.
    auto hash = std::async(std::launch::async, [file = model_file_.string()] { return file_sha256(file); });
    Request request = make_request(model, context_.settings, *context_.line.prompt);
    request.filters = context_.line.filters;
    std::vector<UsedMethod> used = {{"sampler", request.sampler}, {"schedule", request.schedule}};
    if (!request.guidance.empty()) used.push_back({"guidance", request.guidance});
    for (const std::string& filter : request.filters) used.push_back({"image_filter", filter});
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
            .version = fmt::format("pumice {}", pumice::version().text)};
}

Expected<void> Generation::write(const Images& images, const Request& request) {
    const auto begin = Clock::now();
    const auto held = interrupt_.hold();
    OutputNames names(context_.line.output, context_.settings.output_folder);
    const std::string precision = Json::parse(images.report())["precision"].get<std::string>();
    for (std::size_t i = 0; i < images.size(); ++i) {
        const Images::Image image = images[i];
        HOST_ASSIGN(std::string recipe,
                    picture_recipe(context_, {request, image.seed, precision, rng_name(request.rng),
                                              {model_hash_, model_file_.stem().string()}}));
        HOST_ASSIGN(const auto png, host::encode_png({image.width, image.height, image.rgb,
                                                      host::infotext(info(request, image.seed)), false, recipe}));
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
    const Json whole = {
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
    fmt::print("{}\n", whole.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Expected<void> run_generate(const Context& context) {
    if (!context.line.from) return Generation(context).run();
    HOST_ASSIGN(const Context from, context_from_picture(context));
    return Generation(from).run();
}

}  // namespace pumice::cli
