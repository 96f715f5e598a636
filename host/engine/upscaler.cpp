#include "engine/upscaler.hpp"

#include <fmt/format.h>

#include "engine/objects.hpp"

namespace pumice {
namespace {

bool needs_model(const plugins::PluginMethod& method) {
    return (method.method.flags & PUMICE_UPSCALER_NEEDS_MODEL) != 0;
}

/// The first upscaler that the model is for.
Result<Upscaler> upscaler_for(const EngineState& engine, const std::string& model, std::span<const std::string> params,
                              const plugins::PictureServices& services) {
    std::string tried;
    for (const std::string& name : engine.plugins->upscaler_names()) {
        PUMICE_ASSIGN(auto method, engine.plugins->make_method(plugins::kUpscaler, name, {}));
        if (!needs_model(method)) continue;
        const auto scale = plugins::inspect_upscaler(method, services, model);
        if (scale) {
            PUMICE_ASSIGN(method, engine.plugins->make_method(plugins::kUpscaler, name, params));
            return Upscaler{std::move(method), *scale};
        }
        if (scale.error().code != Code::unsupported) return scale.error();
        tried += (tried.empty() ? "" : ", ") + name;
    }
    return Error{Code::unsupported, fmt::format("{} is for none of the upscalers there are: {}", model,
                                                tried.empty() ? "none takes a model" : tried)};
}

}  // namespace

Result<Upscaler> find_upscaler(const EngineState& engine, const std::string& name, const std::string& model,
                               std::span<const std::string> params, const plugins::PictureServices& services) {
    if (name.empty() && model.empty())
        return Error{Code::invalid_argument, "neither an upscaler nor a model for one is named"};
    if (name.empty()) return upscaler_for(engine, model, params, services);
    PUMICE_ASSIGN(auto method, engine.plugins->make_method(plugins::kUpscaler, name, params));
    if (!needs_model(method)) {
        if (!model.empty()) return Error{Code::invalid_argument, fmt::format("the upscaler {} takes no model", name)};
        return Upscaler{method, method.method.scale};
    }
    if (model.empty()) return Error{Code::invalid_argument, fmt::format("the upscaler {} needs a model", name)};
    PUMICE_ASSIGN(const double scale, plugins::inspect_upscaler(method, services, model));
    return Upscaler{method, scale};
}

}  // namespace pumice
