#include "cli/workbench.hpp"

#include <utility>

#include "cli/starter.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

pumice_prediction prediction_of(const host::Settings& settings) {
    const std::string name = settings.prediction.value_or("auto");
    if (name == "eps") return PUMICE_PREDICTION_EPS;
    if (name == "v") return PUMICE_PREDICTION_V;
    return name == "v-zero-snr" ? PUMICE_PREDICTION_V_ZERO_SNR : PUMICE_PREDICTION_AUTO;
}

}  // namespace

Expected<void> Workbench::open(const Context& context, std::function<void()> clear_line) {
    if (!plugins_) {
        HOST_ASSIGN(plugins_, find_plugins(context));
    }
    HOST_TRY(check_plugin_names(context, *plugins_));
    if (engine_) return {};
    HOST_ASSIGN(engine_, CommandEngine::open(context, *plugins_, std::move(clear_line)));
    return {};
}

Expected<Model*> Workbench::model(const fs::path& file, const host::Settings& settings) {
    pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
    options.precision = precision_of(settings);
    options.prediction = prediction_of(settings);
    options.memory_limit = settings.memory.value_or(0);
    std::string vae, text_encoder;
    if (settings.vae) {
        HOST_ASSIGN(const fs::path found, find_model(*settings.vae, settings));
        options.vae = (vae = found.string()).c_str();
    }
    if (settings.text_encoder) {
        HOST_ASSIGN(const fs::path found, find_model(*settings.text_encoder, settings));
        options.text_encoder = (text_encoder = found.string()).c_str();
    }
    std::vector<std::string> made_of = {file.string(), vae, text_encoder, std::to_string(options.precision),
                                        std::to_string(options.prediction), std::to_string(options.memory_limit)};
    if (model_ && loaded_ == made_of) return &*model_;
    model_.reset();  // before the next one takes its memory
    HOST_ASSIGN(model_, Model::load(engine(), file.string(), options));
    loaded_ = std::move(made_of);
    return &*model_;
}

std::shared_future<Expected<std::string>> Workbench::hash(const fs::path& file) {
    auto& hash = hashes_[file];
    if (!hash.valid())
        hash = std::async(std::launch::async, [name = file.string()] { return file_sha256(name); }).share();
    return hash;
}

}  // namespace pumice::cli
