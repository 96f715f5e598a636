#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/adapter_folders.hpp"
#include "cli/commands.hpp"
#include "cli/from_picture.hpp"
#include "cli/make_request.hpp"
#include "cli/output_names.hpp"
#include "cli/preview_file.hpp"
#include "cli/profile.hpp"
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

constexpr const char* fill_names[] = {"original", "fill", "noise", "nothing"};

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
    void take_turn(Request&);
    Expected<void> write(const Images&, const Request&);
    std::vector<std::pair<std::string, std::string>> more_info(const Request&, std::size_t index,
                                                               std::uint32_t stopped_at) const;
    void add_hires(std::vector<std::pair<std::string, std::string>>& more) const;
    host::PictureInfo info(const Request&, std::size_t index, std::uint64_t seed, const Json& report) const;
    Expected<std::vector<host::Recipe::Network>> networks(const Json& used, const std::vector<std::string>& folders);
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
    PreviewFile preview_;
    std::uint32_t turn_ = 0;  ///< of --count
    std::uint64_t seed_ = 0, variation_seed_ = 0;  ///< of the first
    std::vector<std::string> files_;
    double write_seconds_ = 0;
    Json profile_;  ///< summed up; null unless asked for
};

Expected<Images> Generation::make(Request& request) {
    const host::Settings& settings = context_.settings;
    HOST_ASSIGN(model_file_, find_model(settings.model.value_or(""), settings));
    view_.loading(model_file_.filename().string());
    HOST_ASSIGN(std::optional<Picture> picture, read_picture(context_.line, settings));
    HOST_TRY(bench_.open(context_, [this] { view_.clear(); }));
    if (settings.refiner && !refiner_) {
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
    HOST_ASSIGN(request, make_request(*model, settings, *context_.line.prompt));
    take_turn(request);
    if (picture) size_like(*picture, settings, context_.line.outpaint.has_value(), request);
    request.picture = std::move(picture);
    if (refiner_) request.refiner = &*refiner_;
    HOST_ASSIGN(request.hires, make_hires(settings, request));
    request.filters = context_.line.filters;
    HOST_TRY(prepare_prompts(request, context_.line.styles, settings));
    const auto joined = [](std::vector<std::string> first, const std::vector<std::string>& then) {
        first.insert(first.end(), then.begin(), then.end());
        return first;
    };
    request.adapter_folders = joined(context_.line.lora_folders, lora_folders(settings));
    request.embedding_folders = joined(context_.line.embedding_folders, embedding_folders(settings));
    for (const std::string& lora : context_.line.loras) HOST_TRY(add_lora(lora, request.prompt, request.adapter_folders));
    std::vector<UsedMethod> used = {{"sampler", request.sampler}, {"schedule", request.schedule}};
    if (!request.guidance.empty()) used.push_back({"guidance", request.guidance});
    for (const std::string& filter : request.filters) used.push_back({"image_filter", filter});
    if (request.hires && !request.hires->upscaler.empty()) used.push_back({"upscaler", request.hires->upscaler});
    for (const ControlOption& control : context_.line.controls)
        if (!control.use.preprocessor.empty()) used.push_back({"preprocessor", control.use.preprocessor});
    HOST_ASSIGN(request.plugin_params, plugin_params(context_, bench_.plugins(), used));
    HOST_TRY(read_control_pictures(request));
    if (context_.line.preview) preview_.show(context_.line, request);
    request.on_progress = [this](const pumice_progress& progress) { view_.update(progress); };
    request.cancel = &bench_.interrupt.cancel();
    HOST_ASSIGN(Images images, model->generate(request));
    HOST_ASSIGN(model_hash_, hash.get());
    view_.clear();
    return images;
}

/// The seeds go on from picture to picture; what is drawn is drawn once.
void Generation::take_turn(Request& request) {
    if (turn_ == 0) {
        seed_ = request.seed;
        variation_seed_ = request.variation_seed;
    }
    const std::uint64_t before = std::uint64_t(turn_) * request.batch;
    const bool varied = request.variation_strength > 0;
    request.seed = seed_ + (varied ? 0 : before);
    request.variation_seed = variation_seed_ + (varied ? before : 0);
}

Expected<void> Generation::run() {
    const OutputNames names(context_.line.output, context_.settings.output_folder);
    HOST_TRY(names.check());
    HOST_TRY(check_profile(context_.line));
    const auto count = static_cast<std::uint32_t>(context_.settings.count.value_or(1));
    std::optional<Request> request;
    std::optional<Images> images;
    std::uint32_t skipped = 0;
    for (turn_ = 0; turn_ < count; ++turn_) {
        Request asked;
        auto made = make(asked);
        if (!made && made.failure().status == PUMICE_CANCELLED && bench_.interrupt.take_skip()) {
            view_.clear();
            ++skipped;
            if (!context_.line.quiet) fmt::print(stderr, "skipped {} of {}\n", turn_ + 1, count);
            continue;
        }
        if (!made) return made.failure();
        HOST_TRY(write(*made, asked));
        if (!request) request = std::move(asked);
        images = *std::move(made);
        if (bench_.interrupt.finishing()) break;
    }
    if (!images) return Failure{PUMICE_CANCELLED, "cancelled"};
    HOST_ASSIGN(profile_, write_profile(context_, bench_.engine(), images->profile()));
    report(*request, *images);
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
    if (s.hires_sampler) more.emplace_back("Hires sampler", host::sampler_label(*s.hires_sampler));
}

std::vector<std::pair<std::string, std::string>> Generation::more_info(const Request& request,
                                                                       std::size_t index,
                                                                       std::uint32_t stopped_at) const {
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
    if (request.seamless_x || request.seamless_y) more.emplace_back("Tiling", request.seamless_x && request.seamless_y ? "True" : *context_.settings.seamless);
    if (request.tile_width) {
        more.emplace_back("Tile", fmt::format("{}x{}", request.tile_width, request.tile_height));
        more.emplace_back("Tile overlap", fmt::to_string(request.tile_overlap));
    }
    if (stopped_at) more.emplace_back("Stopped at step", fmt::to_string(stopped_at));
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
            .more = more_info(request, index, report["stopped_at"].get<std::uint32_t>()),
            .version = fmt::format("pumice {}", pumice::version().text)};
}

/// As a recipe has them. What lies in the user's own folders is found there by its name; where those are is nobody's concern.
Expected<std::vector<host::Recipe::Network>> Generation::networks(const Json& used,
                                                                  const std::vector<std::string>& folders) {
    std::vector<host::Recipe::Network> networks;
    for (const Json& each : used) {
        host::Recipe::Network& network = networks.emplace_back();
        network.name = each["name"].get<std::string>();
        const std::string file = each["file"].get<std::string>();
        HOST_ASSIGN(network.sha256, bench_.hash(file).get());
        const bool known = std::any_of(folders.begin(), folders.end(),
                                       [&](const std::string& folder) { return file.starts_with(folder); });
        if (!known) network.file = file;
    }
    return networks;
}

Expected<void> Generation::write(const Images& images, const Request& request) {
    const auto begin = Clock::now();
    const auto held = bench_.interrupt.hold();
    OutputNames names(context_.line.output, context_.settings.output_folder);
    const Json report = Json::parse(images.report());
    const std::string precision = report["precision"].get<std::string>();
    const host::Settings& s = context_.settings;
    const bool typed = context_.line.settings.loras_folder.has_value();
    HOST_ASSIGN(const auto loras, networks(report["adapters"], typed ? std::vector<std::string>{} : lora_folders(s)));
    HOST_ASSIGN(const auto embeddings, networks(report["embeddings"], context_.line.settings.embeddings_folder
                                                                          ? std::vector<std::string>{}
                                                                          : embedding_folders(s)));
    for (std::size_t i = 0; i < images.size(); ++i) {
        const Images::Image image = images[i];
        HOST_ASSIGN(std::string recipe,
                    picture_recipe(context_, {request, image.seed, request.variation_seed + i, precision, rng_name(request.rng),
                                              {model_hash_, model_file_.stem().string()}, loras, embeddings,
                                              report["stopped_at"].get<std::uint32_t>()}));
        HOST_ASSIGN(const auto png, host::encode_png({image.width, image.height, image.rgb,
                                                      host::infotext(info(request, i, image.seed, report)), false, recipe}));
        HOST_ASSIGN(const fs::path file, names.write(files_.size(), png));
        files_.push_back(file.string());
    }
    write_seconds_ += seconds_since(begin);
    return {};
}

void Generation::report(const Request& request, const Images& images) const {
    const Engine& engine = bench_.engine();
    Json json = Json::parse(images.report());
    const double total = seconds_since(begin_);
    if (!context_.line.json) {
        for (const std::string& file : files_) fmt::print("{}\n", file);
        if (context_.line.profile_summary) fmt::print(stderr, "{}", profile_text(profile_));
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
        {"stopped_at", json["stopped_at"]},
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
    if (!profile_.is_null()) whole["profile"] = profile_;
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
    if (is_grid(context.line)) {
        if (wants_profile(context.line))
            return Failure{PUMICE_INVALID_ARGUMENT, "--profile and --profile-summary are of one picture, not of a grid"};
        return run_grid(context);
    }
    Workbench bench;
    return Generation(context, bench).run();
}

Expected<MadePicture> make_picture(const Context& context, Workbench& bench) {
    return Generation(context, bench).picture();
}

}  // namespace pumice::cli
