#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "engine/profile_json.hpp"
#include "engine/upscaler.hpp"
#include "pipelines/control_picture.hpp"
#include "plugins/plugin_control.hpp"
#include "plugins/plugin_pictures.hpp"

namespace pumice {
namespace {

/// What plugins that work on pictures may use in the request.
plugins::PictureServices picture_services(const pumice_model& model, const pumice_request& given) {
    const EngineState& engine = *model.engine;
    const std::atomic<bool>* cancel = given.cancel ? &given.cancel->set : nullptr;
    return {.device = {engine.device, engine.kernels, model.model->precision(), cancel},
            .step = {},
            .check = [cancel]() -> Status {
                if (cancel && *cancel) return Error{Code::cancelled, "cancelled"};
                return {};
            },
            .log = engine.log,
            .marker_folder = engine.plugins->marker_folder()};
}

/// What plugins do in the request. A parameter of a kind that takes no part is a mistake.
Status make_methods(const EngineState& engine, const Model& model, const pumice_request& given,
                    TextToImageRequest& request) {
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    PUMICE_ASSIGN(auto sampler, engine.plugins->make_sampler(abi::text_or_empty(given.sampler),
                                                             abi::text_or_empty(given.schedule), params, engine.log,
                                                             family_group(model.config().family)));
    request.sampler = std::move(sampler);
    if (given.guidance && *given.guidance) {
        PUMICE_ASSIGN(auto guidance, engine.plugins->make_guidance(given.guidance, params, engine.log));
        request.guidance = std::move(guidance);
        return {};
    }
    for (const std::string& param : params)
        if (param.starts_with("guidance."))
            return Error{Code::invalid_argument,
                         fmt::format("plugin parameter {}: no method of guidance is chosen, which would take it", param)};
    return {};
}

static_assert(static_cast<int>(ResizeMode::fill) == PUMICE_RESIZE_FILL);
static_assert(static_cast<int>(MaskFill::nothing) == PUMICE_MASK_NOTHING);

Result<PictureInput> read_picture(const pumice_init_picture* of) {
    PUMICE_ASSIGN(const pumice_init_picture given, abi::read_struct(of, "picture"));
    const auto wrong = [](const std::string& text) { return Error{Code::invalid_argument, text}; };
    constexpr std::uint32_t kMost = 32768;
    const auto sized = [](std::uint32_t w, std::uint32_t h) { return w > 0 && h > 0 && w <= kMost && h <= kMost; };
    if (!given.rgb || !sized(given.width, given.height))
        return wrong(fmt::format("picture is {}x{}: use 1 to {}, and pixels", given.width, given.height, kMost));
    if (given.mask && !sized(given.mask_width, given.mask_height))
        return wrong(fmt::format("picture.mask is {}x{}: use 1 to {}", given.mask_width, given.mask_height, kMost));
    if (int(given.resize) < 0 || int(given.resize) > PUMICE_RESIZE_FILL)
        return wrong(fmt::format("picture.resize is {}, which is none", int(given.resize)));
    if (int(given.fill) < 0 || int(given.fill) > PUMICE_MASK_NOTHING)
        return wrong(fmt::format("picture.fill is {}, which is none", int(given.fill)));
    PictureInput picture;
    const std::size_t pixels = std::size_t(given.width) * given.height;
    picture.image = {given.width, given.height, 3, {given.rgb, given.rgb + 3 * pixels}};
    if (given.mask)
        picture.mask = {given.mask_width, given.mask_height, 1,
                        {given.mask, given.mask + std::size_t(given.mask_width) * given.mask_height}};
    picture.strength = given.strength;
    picture.resize = static_cast<ResizeMode>(given.resize);
    picture.mask_blur = given.mask_blur;
    picture.fill = static_cast<MaskFill>(given.fill);
    picture.only_masked = given.only_masked != 0;
    picture.padding = given.mask_padding;
    picture.image_scale = given.image_guidance_scale;
    picture.margins = {given.extend_left, given.extend_top, given.extend_right, given.extend_bottom};
    return picture;
}

PictureSizes read_sizes(const pumice_request& given) {
    return {.original_height = static_cast<float>(given.original_height),
            .original_width = static_cast<float>(given.original_width),
            .crop_top = static_cast<float>(given.crop_top),
            .crop_left = static_cast<float>(given.crop_left),
            .target_height = static_cast<float>(given.target_height),
            .target_width = static_cast<float>(given.target_width),
            .aesthetic_score = given.aesthetic_score,
            .negative_aesthetic_score = given.negative_aesthetic_score};
}

Result<TextToImageRequest> read_request(const EngineState& engine, const Model& model, const pumice_request& given) {
    TextToImageRequest request;
    request.prompt = abi::text_or_empty(given.prompt);
    request.negative_prompt = abi::text_or_empty(given.negative_prompt);
    request.width = given.width;
    request.height = given.height;
    request.steps = given.steps;
    request.guidance_scale = given.guidance_scale;
    PUMICE_TRY(make_methods(engine, model, given, request));
    request.seed = given.seed;
    if (given.rng != PUMICE_RNG_TORCH_CPU && given.rng != PUMICE_RNG_PHILOX)
        return Error{Code::invalid_argument, fmt::format("rng is {}, which is none", int(given.rng))};
    request.rng = given.rng == PUMICE_RNG_PHILOX ? RngKind::philox : RngKind::torch_cpu;
    request.variation_strength = given.variation_strength;
    request.variation_seed = given.variation_seed;
    request.seed_width = given.seed_width;
    request.seed_height = given.seed_height;
    request.eta_seed_delta = given.eta_seed_delta;
    request.tile_width = given.tile_width;
    request.tile_height = given.tile_height;
    request.tile_overlap = given.tile_overlap;
    request.stop_at = given.stop_at;
    request.seamless = {given.seamless_x != 0, given.seamless_y != 0};
    request.batch = given.batch;
    request.clip_skip = given.clip_skip;
    if (given.emphasis != PUMICE_EMPHASIS_ORIGINAL && given.emphasis != PUMICE_EMPHASIS_NO_NORM)
        return Error{Code::invalid_argument, fmt::format("emphasis is {}, which is none", int(given.emphasis))};
    request.emphasis = given.emphasis == PUMICE_EMPHASIS_NO_NORM ? Emphasis::no_norm : Emphasis::original;
    request.sizes = read_sizes(given);
    if (given.picture) {
        PUMICE_ASSIGN(request.picture, read_picture(given.picture));
    }
    if (given.refiner) {
        if (given.refiner->engine.get() != &engine)
            return Error{Code::invalid_argument, "refiner is a model of another engine"};
        request.refiner = given.refiner->model.get();
        request.refiner_switch = given.refiner_switch;
    }
    return request;
}

/// The picture a control network is given: what the preprocessor makes of the user's, in the size of the result.
Result<std::vector<float>> control_picture(const pumice_model& model, const pumice_request& given,
                                           const pumice_control& control) {
    const std::size_t bytes = std::size_t(control.width) * control.height * 3;
    if (!control.rgb || bytes == 0) return Error{Code::invalid_argument, "a control has no picture"};
    std::vector<std::uint8_t> rgb(control.rgb, control.rgb + bytes);
    if (const std::string name = abi::text_or_empty(control.preprocessor); !name.empty()) {
        PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
        PUMICE_ASSIGN(const auto method, model.engine->plugins->make_method(plugins::kPreprocessor, name, params));
        PUMICE_ASSIGN(auto in, plugins::Picture::create(PUMICE_PICTURE_RGB8, control.width, control.height));
        PUMICE_ASSIGN(auto out, plugins::Picture::create(PUMICE_PICTURE_RGB8, control.width, control.height));
        std::memcpy(in.pixels(), rgb.data(), bytes);
        PUMICE_TRY(plugins::run_preprocessor(method, picture_services(model, given), &in, out, given.seed));
        std::memcpy(rgb.data(), out.pixels(), bytes);
    }
    const FitMode fit = control.resize == PUMICE_RESIZE_STRETCH ? FitMode::stretch
                        : control.resize == PUMICE_RESIZE_CROP  ? FitMode::crop
                                                                : FitMode::fill;
    return fit_control_picture(rgb, control.width, control.height, given.width, given.height, fit);
}

Status check_control(const pumice_control& c) {
    const auto wrong = [](const std::string& what) { return Error{Code::invalid_argument, what}; };
    if (!c.model || !*c.model) return wrong("a control has no model");
    if (!(c.weight >= 0 && c.weight <= 10)) return wrong(fmt::format("control weight {}: use 0 to 10", c.weight));
    if (!(c.start >= 0 && c.start <= c.end && c.end <= 1))
        return wrong(fmt::format("control from {} to {}: use 0 to 1, the start first", c.start, c.end));
    if (c.mode != PUMICE_CONTROL_BALANCED && c.mode != PUMICE_CONTROL_PROMPT && c.mode != PUMICE_CONTROL_CONTROL)
        return wrong(fmt::format("control mode {} is none", int(c.mode)));
    if (c.resize != PUMICE_RESIZE_STRETCH && c.resize != PUMICE_RESIZE_CROP && c.resize != PUMICE_RESIZE_FILL)
        return wrong(fmt::format("resize mode {} is none", int(c.resize)));
    return {};
}

/// A parameter of a preprocessor that no control has is a mistake.
Status check_preprocessor_params(const pumice_request& given) {
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    for (std::size_t i = 0; i < given.control_count; ++i)
        if (given.controls && given.controls[i] && !abi::text_or_empty(given.controls[i]->preprocessor).empty()) return {};
    for (const std::string& param : params)
        if (param.starts_with("preprocessor."))
            return Error{Code::invalid_argument,
                         fmt::format("plugin parameter {}: no control has a preprocessor, which would take it",
                                     param.substr(0, 80))};
    return {};
}

/// With pictures of the given size, those of a second pass being the larger.
Result<std::vector<Control>> make_controls(const pumice_model& model, pumice_request given, std::uint32_t width,
                                           std::uint32_t height) {
    given.width = width;
    given.height = height;
    PUMICE_TRY(check_preprocessor_params(given));
    std::vector<Control> controls;
    for (std::size_t i = 0; i < given.control_count; ++i) {
        if (!given.controls) return Error{Code::invalid_argument, "controls is NULL"};
        PUMICE_ASSIGN(const pumice_control c, abi::read_struct(given.controls[i], "control"));
        PUMICE_TRY(check_control(c));
        Control& control = controls.emplace_back();
        PUMICE_ASSIGN(control.picture, control_picture(model, given, c));
        const plugins::DeviceServices device = picture_services(model, given).device;
        PUMICE_ASSIGN(control.network,
                      plugins::open_control(*model.engine->plugins, abi::text_or_empty(c.method),
                                            {.path = c.model,
                                             .family = family_group(model.model->config().family),
                                             .unet = model.model->config().unet},
                                            device,
                                            model.engine->log));
        control.weight = double(c.weight);
        control.start = double(c.start);
        control.end = double(c.end);
        control.mode = c.mode == PUMICE_CONTROL_BALANCED ? ControlMode::balanced
                       : c.mode == PUMICE_CONTROL_PROMPT ? ControlMode::prompt
                                                         : ControlMode::control;
    }
    return controls;
}

/// A picture made larger by a plugin, for the second pass.
Result<Pixels> enlarged(const Upscaler& upscaler, const plugins::PictureServices& services, const std::string& file,
                        const Pixels& from, std::uint32_t width, std::uint32_t height) {
    PUMICE_ASSIGN(auto in, plugins::Picture::create(PUMICE_PICTURE_RGB8, from.width, from.height));
    PUMICE_ASSIGN(auto out, plugins::Picture::create(PUMICE_PICTURE_RGB8, width, height));
    std::memcpy(in.pixels(), from.bytes.data(), in.bytes());
    PUMICE_TRY(plugins::run_upscaler(upscaler.method, services, in, out, file));
    Pixels made = make_pixels(width, height, 3);
    std::memcpy(made.bytes.data(), out.pixels(), out.bytes());
    return made;
}

/// Parameters of an upscaler that no second pass has are a mistake.
Status check_upscaler_params(std::span<const std::string> params, bool used) {
    for (const std::string& param : params)
        if (!used && param.starts_with("upscaler."))
            return Error{Code::invalid_argument,
                         fmt::format("plugin parameter {}: no second pass has an upscaler, which would take it",
                                     param.substr(0, 80))};
    return {};
}

Result<HiresOptions> make_hires(const pumice_model& model, const pumice_request& given) {
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    HiresOptions made;
    if (!given.hires) {
        PUMICE_TRY(check_upscaler_params(params, false));
        return made;
    }
    PUMICE_ASSIGN(const pumice_hires hires, abi::read_struct(given.hires, "hires"));
    if (hires.width == 0 || hires.height == 0)
        return Error{Code::invalid_argument, fmt::format("hires is {}x{}", hires.width, hires.height)};
    made.width = hires.width;
    made.height = hires.height;
    made.steps = hires.steps;
    made.strength = hires.strength;
    const EngineState& engine = *model.engine;
    const std::string first = abi::text_or_empty(given.sampler), own = abi::text_or_empty(hires.sampler);
    // Another sampler does not know the parameters of the first.
    std::vector<std::string> of_it;
    for (const std::string& param : params)
        if (own.empty() || own == first || !param.starts_with("sampler.")) of_it.push_back(param);
    PUMICE_ASSIGN(auto sampler, engine.plugins->make_sampler(own.empty() ? first : own, abi::text_or_empty(given.schedule),
                                                             of_it, engine.log,
                                                             family_group(model.model->config().family)));
    made.sampler = std::move(sampler);
    PUMICE_ASSIGN(made.controls, make_controls(model, given, made.width, made.height));
    const std::string name = abi::text_or_empty(hires.upscaler), file = abi::text_or_empty(hires.upscaler_model);
    PUMICE_TRY(check_upscaler_params(params, !name.empty() || !file.empty()));
    if (name.empty() && file.empty()) return made;
    plugins::PictureServices services = picture_services(model, given);
    services.step = [check = services.check](std::uint32_t, std::uint32_t) { return check(); };
    PUMICE_ASSIGN(const Upscaler upscaler, find_upscaler(engine, name, file, params, services));
    made.upscale = [upscaler, services, file](const Pixels& from, std::uint32_t width, std::uint32_t height) {
        return enlarged(upscaler, services, file, from, width, height);
    };
    return made;
}

/// The image filters of a request. A parameter is given to those that have it; one that none has is an error.
Result<std::vector<plugins::PluginMethod>> make_filters(const EngineState& engine, const pumice_request& given) {
    PUMICE_ASSIGN(const auto names, abi::read_texts(given.filters, given.filter_count, "filters"));
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    std::vector<plugins::PluginMethod> filters;
    for (const std::string& name : names) {
        PUMICE_ASSIGN(filters.emplace_back(), engine.plugins->make_method(plugins::kImageFilter, name, {}));
    }
    for (const std::string& text : params) {
        PUMICE_ASSIGN(const auto param, plugins::parse_param(text));
        if (param.kind != plugins::kImageFilter.name) continue;
        bool used = false;
        for (plugins::PluginMethod& filter : filters) {
            const auto& all = filter.method.params;
            const auto at = std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.id == param.id; });
            if (at == all.end()) continue;
            PUMICE_ASSIGN(const auto values, plugins::resolve_params(filter.method, param.kind, std::span(&param, 1)));
            const auto index = static_cast<std::size_t>(at - all.begin());
            filter.params[index] = values[index];
            used = true;
        }
        if (!used)
            return Error{
                Code::invalid_argument,
                fmt::format("plugin parameter {}: no image filter of this request has it", text.substr(0, 80))};
    }
    return filters;
}

Status apply_filters(const pumice_model& model, const std::vector<plugins::PluginMethod>& filters,
                     const pumice_request& given, std::vector<Image>& images) {
    const plugins::PictureServices services = picture_services(model, given);
    for (const plugins::PluginMethod& filter : filters)
        for (std::uint32_t i = 0; i < images.size(); ++i) {
            Image& image = images[i];
            PUMICE_ASSIGN(auto in, plugins::Picture::create(PUMICE_PICTURE_RGB8, image.width, image.height));
            PUMICE_ASSIGN(auto out, plugins::Picture::create(PUMICE_PICTURE_RGB8, image.width, image.height));
            std::memcpy(in.pixels(), image.rgb.data(), in.bytes());
            PUMICE_TRY(plugins::run_image_filter(filter, services, in, out, i, given.seed + i));
            std::memcpy(image.rgb.data(), out.pixels(), out.bytes());
        }
    return {};
}

Result<RequestControl> control_of(const pumice_request& given) {
    RequestControl control;
    if (given.cancel) {
        control.cancel = &given.cancel->set;
        control.finish = &given.cancel->finish;
    }
    if (given.preview_method != PUMICE_PREVIEW_LATENT_RGB && given.preview_method != PUMICE_PREVIEW_TAESD)
        return Error{Code::invalid_argument, fmt::format("preview_method is {}, which is none", int(given.preview_method))};
    if (given.preview_every > 0 && given.on_preview)
        control.preview = {.every = given.preview_every,
                           .method = given.preview_method == PUMICE_PREVIEW_TAESD ? PreviewMethod::taesd
                                                                                  : PreviewMethod::latent_rgb,
                           .tiny_file = abi::text_or_empty(given.preview_model),
                           .show = [callback = given.on_preview, user = given.user](const Preview& p) {
                               const pumice_preview preview = {sizeof(pumice_preview), p.step, p.steps, p.picture, p.pictures,
                                                               p.rgb.width, p.rgb.height, p.rgb.bytes.data()};
                               callback(user, &preview);
                           }};
    if (given.on_progress)
        control.on_progress = [callback = given.on_progress, user = given.user](const Progress& p) {
            const pumice_progress event = {sizeof(pumice_progress), static_cast<pumice_stage>(p.stage), p.step, p.steps,
                                           p.seconds};
            callback(user, &event);
        };
    return control;
}
static_assert(static_cast<int>(Progress::Stage::load) == PUMICE_STAGE_LOAD);
static_assert(static_cast<int>(Progress::Stage::decode) == PUMICE_STAGE_DECODE);

const char* to_string(Precision precision) {
    switch (precision) {
        case Precision::exact:
            return "exact";
        case Precision::fp32:
            return "fp32";
        case Precision::fp16:
            return "fp16";
    }
    return "";
}

/// Bytes of memory this process has had resident at most.
std::uint64_t host_peak() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return std::uint64_t(usage.ru_maxrss) * 1024;
}

/// What no other stage accounts for is loading: opening the file, weights on their way to the device, compiling.
std::string report(const pumice_model& model, const TextToImageResult& result, const UsedAdapters& adapters,
                   const UsedEmbeddings& embeddings, double seconds) {
    const double steps = std::accumulate(result.step_seconds.begin(), result.step_seconds.end(), 0.0);
    const double load = model.open_seconds + seconds - result.text_seconds - result.encode_seconds - steps - result.decode_seconds;
    const MemoryStatistics memory = model.engine->device->allocator().statistics();
    const nlohmann::ordered_json json = {
        {"precision", to_string(model.model->precision())},
        {"timings",
         {{"load", load},
          {"text", result.text_seconds},
          {"encode", result.encode_seconds},
          {"steps", result.step_seconds},
          {"decode", result.decode_seconds}}},
        {"memory",
         {{"limit", model.model->memory_limit()},
          {"streamed", result.streamed},
          {"tiles", result.tiles},
          {"device_peak", memory.device_peak}, {"staging_peak", memory.host_peak}, {"host_peak", host_peak()}}},
        {"unet_flops", result.unet_flops},
        {"adapters", adapters.report},
        {"embeddings", embeddings.report},
        {"stopped_at", result.stopped_at},
        {"notes", result.notes}};
    return json.dump();
}

/// What the device does while this lives is written down, if the engine was asked for that.
class Profiling {
public:
    explicit Profiling(const EngineState& engine) : engine_(engine) {
        if (engine_.profile) engine_.device->set_profile(std::make_shared<Profile>());
    }
    ~Profiling() { engine_.device->set_profile(nullptr); }
    Profiling(const Profiling&) = delete;
    Profiling& operator=(const Profiling&) = delete;
    std::string json(Precision precision) const {
        const Profile* profile = engine_.device->profile().get();
        return profile ? trace_json(*profile, engine_.device->caps(), to_string(precision)) : "{}";
    }

private:
    const EngineState& engine_;
};

Result<std::unique_ptr<pumice_images>> generate(pumice_model& model, const pumice_request& given) {
    PUMICE_ASSIGN(TextToImageRequest request, read_request(*model.engine, *model.model, given));
    PUMICE_ASSIGN(const auto filters, make_filters(*model.engine, given));
    const std::lock_guard lock(model.engine->running);
    const auto begin = std::chrono::steady_clock::now();
    model.engine->device->allocator().set_limit(model.model->memory_limit());
    model.engine->device->allocator().reset_peaks();
    const Profiling profiling(*model.engine);
    PUMICE_ASSIGN(request.controls, make_controls(model, given, given.width, given.height));
    PUMICE_ASSIGN(request.hires, make_hires(model, given));
    PUMICE_ASSIGN(UsedAdapters adapters, use_adapters(model.adapters, *model.model, given));
    PUMICE_ASSIGN(UsedEmbeddings embeddings, use_embeddings(*model.model, given, adapters.prompt));
    request.prompt = adapters.prompt;
    request.embeddings = std::move(embeddings.all);
    model.model->set_adapters(adapters.set);
    PUMICE_ASSIGN(const RequestControl control, control_of(given));
    PUMICE_ASSIGN(TextToImageResult result, text_to_image(*model.model, request, control));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    PUMICE_TRY(apply_filters(model, filters, given, result.images));
    auto images = std::make_unique<pumice_images>();
    for (const auto* notes : {&embeddings.notes, &adapters.notes})
        result.notes.insert(result.notes.begin(), notes->begin(), notes->end());
    images->report = report(model, result, adapters, embeddings, seconds);
    images->profile = profiling.json(model.model->precision());
    images->all = std::move(result.images);
    images->seed = request.seed;
    images->one_seed = request.variation_strength != 0;
    return images;
}

}  // namespace
}  // namespace pumice

extern "C" {

pumice_cancel* pumice_cancel_create(void) {
    return new (std::nothrow) pumice_cancel;
}

void pumice_cancel_destroy(pumice_cancel* cancel) {
    delete cancel;
}

void pumice_cancel_set(pumice_cancel* cancel) {
    if (!cancel) return;
    cancel->for_good = true;
    cancel->set = true;
}

void pumice_cancel_reset(pumice_cancel* cancel) {
    if (!cancel) return;
    cancel->for_good = cancel->once = cancel->finish = false;
    cancel->set = false;
}

void pumice_cancel_finish(pumice_cancel* cancel) {
    if (cancel) cancel->finish = true;
}

void pumice_cancel_skip(pumice_cancel* cancel) {
    if (!cancel) return;
    cancel->once = true;
    cancel->set = true;
}

pumice_status pumice_generate(pumice_model* model, const pumice_request* request, pumice_images** images,
                              pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!images) return pumice::Error{pumice::Code::invalid_argument, "images is NULL"};
        *images = nullptr;
        if (!model) return pumice::Error{pumice::Code::invalid_argument, "model is NULL"};
        PUMICE_ASSIGN(const pumice_request given, pumice::abi::read_struct(request, "request"));
        auto made = pumice::generate(*model, given);
        if (given.cancel) given.cancel->request_ended();
        if (!made) return std::move(made.error());
        *images = made->release();
        return {};
    });
}

void pumice_images_destroy(pumice_images* images) {
    delete images;
}

size_t pumice_images_count(const pumice_images* images) {
    return images ? images->all.size() : 0;
}

pumice_status pumice_images_get(const pumice_images* images, size_t index, pumice_image* image, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (index >= pumice_images_count(images))
            return pumice::Error{pumice::Code::invalid_argument, fmt::format("there is no picture {}: there are {}",
                                                                             index, pumice_images_count(images))};
        const pumice::Image& found = images->all[index];
        const pumice_image value = {sizeof(pumice_image), found.width, found.height, found.rgb.data(),
                                    images->seed + (images->one_seed ? 0 : index)};
        return pumice::abi::write_struct(value, image, "image");
    });
}

const char* pumice_images_report(const pumice_images* images) {
    return images ? images->report.c_str() : "{}";
}

const char* pumice_images_profile(const pumice_images* images) {
    return images ? images->profile.c_str() : "{}";
}

}  // extern "C"
