// pumice_upscale and pumice_preprocess.
#include <chrono>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "engine/upscaler.hpp"
#include "plugins/plugin_pictures.hpp"

namespace pumice {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

Result<plugins::Picture> read_bitmap(const pumice_bitmap& given) {
    PUMICE_ASSIGN(const pumice_bitmap bitmap, abi::read_struct(&given, "request.bitmap"));
    if (bitmap.channels != 3 && bitmap.channels != 4)
        return Error{Code::invalid_argument,
                     fmt::format("request.bitmap.channels is {}, must be 3 or 4", bitmap.channels)};
    if (!bitmap.pixels) return Error{Code::invalid_argument, "request.bitmap.pixels is NULL"};
    PUMICE_ASSIGN(auto picture,
                  plugins::Picture::create(bitmap.channels == 4 ? PUMICE_PICTURE_RGBA8 : PUMICE_PICTURE_RGB8,
                                           bitmap.width, bitmap.height));
    std::memcpy(picture.pixels(), bitmap.pixels, picture.bytes());
    return picture;
}

plugins::PictureServices services_of(const EngineState& engine, Precision precision, const pumice_cancel* cancel) {
    const std::atomic<bool>* flag = cancel ? &cancel->set : nullptr;
    return {.device = {engine.device, engine.kernels, precision, flag},
            .step = {},
            .check = [flag]() -> Status {
                if (flag && *flag) return Error{Code::cancelled, "cancelled"};
                return {};
            },
            .log = engine.log,
            .marker_folder = engine.plugins->marker_folder()};
}

const char* to_string(Precision precision) {
    return precision == Precision::exact ? "exact" : precision == Precision::fp16 ? "fp16" : "fp32";
}

Result<std::unique_ptr<pumice_made_bitmap>> upscale(EngineState& engine, const pumice_upscale_request& given) {
    PUMICE_ASSIGN(const Precision precision, choose_precision(given.precision, engine.device->caps()));
    PUMICE_ASSIGN(plugins::Picture in, read_bitmap(given.bitmap));
    if (given.scale != 0 && !(given.scale >= 1.0 / 16 && given.scale <= 64))
        return Error{Code::invalid_argument, fmt::format("scale is {}, must be 1/16 to 64", given.scale)};
    const std::lock_guard lock(engine.running);
    const auto begin = Clock::now();
    plugins::PictureServices services = services_of(engine, precision, given.cancel);
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    PUMICE_ASSIGN(const Upscaler upscaler, find_upscaler(engine, abi::text_or_empty(given.upscaler),
                                                         abi::text_or_empty(given.model), params, services));
    const double scale = given.scale != 0 ? given.scale : upscaler.scale;
    const auto scaled = [&](std::uint32_t side) {
        return static_cast<std::uint32_t>(std::max(1.0, std::floor(side * scale + 0.5)));
    };
    PUMICE_ASSIGN(plugins::Picture out, plugins::Picture::create(in.format(), scaled(in.width()), scaled(in.height())));
    services.step = [&](std::uint32_t done, std::uint32_t all) -> Status {
        const pumice_progress event = {sizeof(pumice_progress), PUMICE_STAGE_STEP, done, all, seconds_since(begin)};
        if (given.on_progress) given.on_progress(given.user, &event);
        return services.check();
    };
    PUMICE_TRY(plugins::run_upscaler(upscaler.method, services, in, out, abi::text_or_empty(given.model)));
    const nlohmann::ordered_json report = {{"upscaler", upscaler.method.method.name},
                                           {"plugin", upscaler.method.id},
                                           {"scale", scale},
                                           {"model_scale", upscaler.scale},
                                           {"precision", to_string(precision)},
                                           {"seconds", seconds_since(begin)}};
    return std::unique_ptr<pumice_made_bitmap>(new pumice_made_bitmap{std::move(out), report.dump()});
}

Result<std::unique_ptr<pumice_made_bitmap>> preprocess(EngineState& engine, const pumice_preprocess_request& given) {
    PUMICE_ASSIGN(const Precision precision, choose_precision(given.precision, engine.device->caps()));
    PUMICE_ASSIGN(const auto params, abi::read_texts(given.plugin_params, given.plugin_param_count, "plugin_params"));
    PUMICE_ASSIGN(const auto method,
                  engine.plugins->make_method(plugins::kPreprocessor, abi::text_or_empty(given.preprocessor), params));
    std::optional<plugins::Picture> in;
    std::uint32_t width = given.width, height = given.height;
    if (given.bitmap.width != 0) {
        PUMICE_ASSIGN(in, read_bitmap(given.bitmap));
        if ((width != 0 && width != in->width()) || (height != 0 && height != in->height()))
            return Error{Code::invalid_argument, fmt::format("{}x{} is asked for of a picture of {}x{}", width, height,
                                                             in->width(), in->height())};
        width = in->width(), height = in->height();
    }
    const std::lock_guard lock(engine.running);
    const auto begin = Clock::now();
    PUMICE_ASSIGN(plugins::Picture out, plugins::Picture::create(PUMICE_PICTURE_RGB8, width, height));
    PUMICE_TRY(plugins::run_preprocessor(method, services_of(engine, precision, given.cancel), in ? &*in : nullptr, out,
                                         given.seed));
    const nlohmann::ordered_json report = {{"preprocessor", method.method.name},
                                           {"plugin", method.id},
                                           {"precision", to_string(precision)},
                                           {"seconds", seconds_since(begin)}};
    return std::unique_ptr<pumice_made_bitmap>(new pumice_made_bitmap{std::move(out), report.dump()});
}

/// The frame of both functions.
template <class Request, class Work>
pumice_status make(pumice_engine* engine, const Request* request, pumice_made_bitmap** made, pumice_error* error,
                   Work&& work) {
    return abi::guard(error, [&]() -> Status {
        if (!made) return Error{Code::invalid_argument, "made is NULL"};
        *made = nullptr;
        if (!engine) return Error{Code::invalid_argument, "engine is NULL"};
        PUMICE_ASSIGN(const Request given, abi::read_struct(request, "request"));
        PUMICE_ASSIGN(auto bitmap, work(*engine->state, given));
        *made = bitmap.release();
        return {};
    });
}

}  // namespace
}  // namespace pumice

extern "C" {

void pumice_made_bitmap_destroy(pumice_made_bitmap* made) {
    delete made;
}

pumice_status pumice_made_bitmap_get(const pumice_made_bitmap* made, pumice_bitmap* bitmap, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!made) return pumice::Error{pumice::Code::invalid_argument, "made is NULL"};
        const pumice::plugins::Picture& p = made->picture;
        const pumice_bitmap value = {sizeof(pumice_bitmap), p.width(), p.height(), p.channels(),
                                     reinterpret_cast<const uint8_t*>(p.pixels())};
        return pumice::abi::write_struct(value, bitmap, "bitmap");
    });
}

const char* pumice_made_bitmap_report(const pumice_made_bitmap* made) {
    return made ? made->report.c_str() : "{}";
}

pumice_status pumice_upscale(pumice_engine* engine, const pumice_upscale_request* request, pumice_made_bitmap** made,
                             pumice_error* error) {
    return pumice::make(engine, request, made, error, pumice::upscale);
}

pumice_status pumice_preprocess(pumice_engine* engine, const pumice_preprocess_request* request,
                                pumice_made_bitmap** made, pumice_error* error) {
    return pumice::make(engine, request, made, error, pumice::preprocess);
}

}  // extern "C"
