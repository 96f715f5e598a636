// The upscaler that a request names, or that its model is for.
#pragma once

#include <span>
#include <string>

#include "base/result.hpp"
#include "plugins/plugin_pictures.hpp"

namespace pumice {

struct EngineState;

/// An upscaler and the factor that it has by itself.
struct Upscaler {
    plugins::PluginMethod method;
    double scale = 0;
};

/// By name, or for an empty name the first that the model is for. Code::invalid_argument for a model that the upscaler
/// does not take, or lacks.
Result<Upscaler> find_upscaler(const EngineState&, const std::string& name, const std::string& model,
                               std::span<const std::string> params, const plugins::PictureServices&);

}  // namespace pumice
