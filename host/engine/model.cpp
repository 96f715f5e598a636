#include <chrono>

#include "engine/abi.hpp"
#include "engine/objects.hpp"

namespace pumice {
Result<Precision> choose_precision(pumice_precision wanted, const Capabilities& caps) {
    switch (wanted) {
        case PUMICE_PRECISION_AUTO:
            return default_precision(caps);
        case PUMICE_PRECISION_FP16:
            if (!caps.storage_16bit)
                return Error{Code::missing_feature,
                             fmt::format("{} has no 16-bit storage, which fp16 needs; choose fp32 or auto", caps.name)};
            return Precision::fp16;
        case PUMICE_PRECISION_FP32:
            return Precision::fp32;
        case PUMICE_PRECISION_EXACT:
            return Precision::exact;
    }
    return Error{Code::invalid_argument, fmt::format("options.precision is {}, which is none", int(wanted))};
}

namespace {

Result<std::unique_ptr<pumice_model>> load(const std::shared_ptr<EngineState>& engine, const char* path,
                                           const pumice_model_options& values) {
    const auto begin = std::chrono::steady_clock::now();
    ModelOptions options;
    PUMICE_ASSIGN(options.precision, choose_precision(values.precision, engine->device->caps()));
    options.memory_limit = values.memory_limit;
    options.vae_file = values.vae ? values.vae : "";
    options.text_encoder_file = values.text_encoder ? values.text_encoder : "";
    if (int(values.prediction) < 0 || int(values.prediction) > PUMICE_PREDICTION_V_ZERO_SNR)
        return Error{Code::invalid_argument,
                     fmt::format("options.prediction is {}, which is none", int(values.prediction))};
    options.prediction = static_cast<PredictionHint>(values.prediction);
    auto loaded = std::make_unique<pumice_model>();
    loaded->engine = engine;
    PUMICE_ASSIGN(loaded->model, Model::load(engine->device, engine->kernels, path, options));
    PUMICE_ASSIGN(loaded->defaults,
                  model_defaults(loaded->model->file(), loaded->model->config(), path, engine->plugins->sampler_names(),
                                 engine->plugins->schedule_names()));
    loaded->model->set_others_leave(
        [state = engine.get(), self = loaded->model.get()] { state->leave_all_but(self); });
    {
        const std::lock_guard lock(engine->models_mutex);
        engine->models.push_back(loaded->model.get());
    }
    loaded->open_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return loaded;
}

}  // namespace
}  // namespace pumice

extern "C" {

pumice_status pumice_model_load(pumice_engine* engine, const char* path, const pumice_model_options* options,
                                pumice_model** model, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!model) return pumice::Error{pumice::Code::invalid_argument, "model is NULL"};
        *model = nullptr;
        if (!engine) return pumice::Error{pumice::Code::invalid_argument, "engine is NULL"};
        if (!path || !*path) return pumice::Error{pumice::Code::invalid_argument, "path is empty"};
        pumice_model_options values = PUMICE_MODEL_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(auto loaded, pumice::load(engine->state, path, values));
        *model = loaded.release();
        return {};
    });
}

void pumice_model_destroy(pumice_model* model) {
    delete model;
}

pumice_status pumice_model_defaults(const pumice_model* model, pumice_request* request, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!model) return pumice::Error{pumice::Code::invalid_argument, "model is NULL"};
        PUMICE_ASSIGN(pumice_request values, pumice::abi::read_struct(request, "request"));
        const pumice::ModelDefaults& defaults = model->defaults;
        values.width = defaults.width;
        values.height = defaults.height;
        values.steps = defaults.steps;
        values.guidance_scale = defaults.guidance_scale;
        values.sampler = defaults.sampler.c_str();
        values.schedule = defaults.schedule.c_str();
        values.rng = PUMICE_RNG_TORCH_CPU;
        values.batch = 1;
        values.clip_skip = defaults.clip_skip;
        const pumice::PictureSizes sizes;
        values.original_width = values.original_height = values.crop_left = values.crop_top = 0;
        values.target_width = values.target_height = 0;
        values.aesthetic_score = sizes.aesthetic_score;
        values.negative_aesthetic_score = sizes.negative_aesthetic_score;
        values.variation_strength = 0;
        values.seed_width = values.seed_height = 0;
        values.eta_seed_delta = 0;
        values.seamless_x = values.seamless_y = 0;
        values.tile_width = values.tile_height = values.tile_overlap = values.stop_at = 0;
        values.refiner_switch = pumice::TextToImageRequest{}.refiner_switch;
        return pumice::abi::write_struct(values, request, "request");
    });
}

}  // extern "C"
