// Upscalers, preprocessors and image filters of plugins, run on pictures.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/log.hpp"
#include "base/result.hpp"
#include "plugins/device_session.hpp"
#include "plugins/picture.hpp"
#include "plugins/plugin_method.hpp"

namespace pumice::plugins {

/// What a run may use. One run is one instance of the plugin.
struct PictureServices {
    DeviceServices device;
    std::function<Status(std::uint32_t done, std::uint32_t all)> step = {};
    std::function<Status()> check = {};
    Log log;
    std::filesystem::path marker_folder;
};

// Errors of a plugin's begin with its id; cancelling and the engine's own do not.

/// A model's own factor. Code::unsupported when it is not for this upscaler; file errors.
Result<double> inspect_upscaler(const PluginMethod&, const PictureServices&, const std::string& model);
/// Fills `out`, whose format is the input's.
Status run_upscaler(const PluginMethod&, const PictureServices&, Picture& in, Picture& out, const std::string& model);
/// `in` may be null for those with PUMICE_PREPROCESSOR_NO_PICTURE.
Status run_preprocessor(const PluginMethod&, const PictureServices&, Picture* in, Picture& out, std::uint64_t seed);
/// Picture `index` of its batch.
Status run_image_filter(const PluginMethod&, const PictureServices&, Picture& in, Picture& out, std::uint32_t index,
                        std::uint64_t seed);

}  // namespace pumice::plugins
