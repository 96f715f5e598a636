#include <sys/resource.h>

#include <chrono>
#include <numeric>

#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"

namespace pumice {
namespace {

Result<std::vector<std::string>> read_params(const pumice_request& given) {
    std::vector<std::string> params;
    for (std::size_t i = 0; i < given.plugin_param_count; ++i) {
        const char* param = given.plugin_params ? given.plugin_params[i] : nullptr;
        if (!param) return Error{Code::invalid_argument, fmt::format("plugin_params[{}] is NULL", i)};
        params.emplace_back(param);
    }
    return params;
}

/// What plugins do in the request. A parameter of a kind that takes no part is a mistake.
Status make_methods(const EngineState& engine, const pumice_request& given, TextToImageRequest& request) {
    PUMICE_ASSIGN(const auto params, read_params(given));
    PUMICE_ASSIGN(auto sampler, engine.plugins->make_sampler(abi::text_or_empty(given.sampler),
                                                             abi::text_or_empty(given.schedule), params, engine.log));
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

Result<TextToImageRequest> read_request(const EngineState& engine, const pumice_request& given) {
    TextToImageRequest request;
    request.prompt = abi::text_or_empty(given.prompt);
    request.negative_prompt = abi::text_or_empty(given.negative_prompt);
    request.width = given.width;
    request.height = given.height;
    request.steps = given.steps;
    request.guidance_scale = given.guidance_scale;
    PUMICE_TRY(make_methods(engine, given, request));
    request.seed = given.seed;
    if (given.rng != PUMICE_RNG_TORCH_CPU && given.rng != PUMICE_RNG_PHILOX)
        return Error{Code::invalid_argument, fmt::format("rng is {}, which is none", int(given.rng))};
    request.rng = given.rng == PUMICE_RNG_PHILOX ? RngKind::philox : RngKind::torch_cpu;
    request.batch = given.batch;
    request.clip_skip = given.clip_skip;
    return request;
}

RequestControl control_of(const pumice_request& given) {
    RequestControl control;
    if (given.cancel) control.cancel = &given.cancel->set;
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
std::string report(const pumice_model& model, const TextToImageResult& result, double seconds) {
    const double steps = std::accumulate(result.step_seconds.begin(), result.step_seconds.end(), 0.0);
    const double load = model.open_seconds + seconds - result.text_seconds - steps - result.decode_seconds;
    const MemoryStatistics memory = model.engine->device->allocator().statistics();
    const nlohmann::ordered_json json = {
        {"precision", to_string(model.model->precision())},
        {"timings",
         {{"load", load},
          {"text", result.text_seconds},
          {"steps", result.step_seconds},
          {"decode", result.decode_seconds}}},
        {"memory",
         {{"device_peak", memory.device_peak}, {"staging_peak", memory.host_peak}, {"host_peak", host_peak()}}},
        {"unet_flops", result.unet_flops},
        {"notes", result.notes}};
    return json.dump();
}

Result<std::unique_ptr<pumice_images>> generate(pumice_model& model, const pumice_request& given) {
    PUMICE_ASSIGN(const TextToImageRequest request, read_request(*model.engine, given));
    const std::lock_guard lock(model.engine->running);
    const auto begin = std::chrono::steady_clock::now();
    model.engine->device->allocator().reset_peaks();
    PUMICE_ASSIGN(TextToImageResult result, text_to_image(*model.model, request, control_of(given)));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    auto images = std::make_unique<pumice_images>();
    images->report = report(model, result, seconds);
    images->all = std::move(result.images);
    images->seed = request.seed;
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
    if (cancel) cancel->set = true;
}

void pumice_cancel_reset(pumice_cancel* cancel) {
    if (cancel) cancel->set = false;
}

pumice_status pumice_generate(pumice_model* model, const pumice_request* request, pumice_images** images,
                              pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!images) return pumice::Error{pumice::Code::invalid_argument, "images is NULL"};
        *images = nullptr;
        if (!model) return pumice::Error{pumice::Code::invalid_argument, "model is NULL"};
        PUMICE_ASSIGN(const pumice_request given, pumice::abi::read_struct(request, "request"));
        PUMICE_ASSIGN(auto made, pumice::generate(*model, given));
        *images = made.release();
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
                                    images->seed + index};
        return pumice::abi::write_struct(value, image, "image");
    });
}

const char* pumice_images_report(const pumice_images* images) {
    return images ? images->report.c_str() : "{}";
}

}  // extern "C"
