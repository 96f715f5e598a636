#include <cstdlib>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/profile.hpp"
#include "outcome.hpp"

namespace pumice::cli {

pumice_precision precision_of(const host::Settings& settings) {
    const std::string name = settings.precision.value_or("auto");
    if (name == "fp16") return PUMICE_PRECISION_FP16;
    if (name == "fp32") return PUMICE_PRECISION_FP32;
    if (name == "exact") return PUMICE_PRECISION_EXACT;
    return PUMICE_PRECISION_AUTO;
}

Expected<CommandEngine> CommandEngine::open(const Context& context, const Plugins& plugins,
                                            std::function<void()> clear_line) {
    EngineOptions options;
    options.plugins = &plugins;
    options.device = context.settings.device.value_or("");
    options.cache_folder = context.settings.cache_folder.value_or("");
    if (const char* folder = std::getenv("PUMICE_SHADERS")) options.shader_folder = folder;
    options.profile = wants_profile(context.line);
    const char* validation = std::getenv("PUMICE_VALIDATION");
    options.validation = validation && *validation == '1';
    auto messages = std::make_shared<int>(0);
    options.log = [messages, clear_line](pumice_log_level level, std::string_view line) {
        if (level < PUMICE_LOG_WARNING) return;
        if (level == PUMICE_LOG_ERROR) ++*messages;
        clear_line();
        fmt::print(stderr, "pumice: {}: {}\n", level == PUMICE_LOG_ERROR ? "validation" : "warning", line);
    };
    HOST_ASSIGN(Engine engine, Engine::create(options));
    return CommandEngine(std::move(engine), std::move(messages));
}

Expected<void> CommandEngine::check_validation() const {
    if (*messages_ == 0) return {};
    return Failure{PUMICE_INTERNAL, fmt::format("a bug of Pumice: {} messages of the validation layer", *messages_)};
}

}  // namespace pumice::cli
