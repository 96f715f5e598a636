// pumice upscale and pumice preprocess.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/output_names.hpp"
#include "cli/progress.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Writes what was made and says so.
Expected<void> finish(const Context& context, const Engine& engine, const MadeBitmap& made) {
    const Bitmap b = made.bitmap();
    HOST_ASSIGN(const auto png, host::encode_png({b.width, b.height, b.pixels, "", b.channels == 4}));
    OutputNames names(context.line.output, context.settings.output_folder);
    HOST_ASSIGN(const std::filesystem::path file, names.write(0, png));
    if (!context.line.json) {
        fmt::print("{}\n", file.string());
        return {};
    }
    const pumice_device_info device = engine.device();
    Json json = {{"file", file.string()}, {"width", b.width}, {"height", b.height}, {"alpha", b.channels == 4}};
    json.update(Json::parse(made.report()));
    json["plugin_params"] = context.settings.given_plugin_params;
    json["device"] = {{"name", device.name}, {"type", device.type}, {"driver", device.driver}, {"uuid", device.uuid}};
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return {};
}

Bitmap bitmap_of(const host::DecodedImage& image) {
    return {image.width, image.height, image.channels, image.pixels};
}

}  // namespace

Expected<void> run_upscale(const Context& context) {
    HOST_TRY(OutputNames(context.line.output, context.settings.output_folder).check());
    HOST_ASSIGN(const host::DecodedImage image, host::read_png(context.line.picture));
    HOST_ASSIGN(const Plugins plugins, find_plugins(context));
    if (!context.line.method.empty()) HOST_TRY(check_name(context.line.method, "--upscaler", plugins.upscalers()));
    ProgressView view(stderr, ProgressView::style_for(stderr, context.line.quiet));
    const Interrupt interrupt;
    UpscaleRequest request;
    request.bitmap = bitmap_of(image);
    request.upscaler = context.line.method;
    request.model = context.line.upscaler_model;
    request.scale = context.line.scale;
    request.precision = precision_of(context.settings);
    request.on_progress = [&view](const pumice_progress& progress) { view.update(progress); };
    request.cancel = &interrupt.cancel();
    HOST_ASSIGN(request.plugin_params, plugin_params(context, plugins, {{"upscaler", context.line.method}}));
    HOST_ASSIGN(const CommandEngine opened, CommandEngine::open(context, plugins, [&view] { view.clear(); }));
    HOST_ASSIGN(const MadeBitmap made, upscale(opened.engine(), request));
    view.clear();
    HOST_TRY(finish(context, opened.engine(), made));
    return opened.check_validation();
}

Expected<void> run_preprocess(const Context& context) {
    HOST_TRY(OutputNames(context.line.output, context.settings.output_folder).check());
    HOST_ASSIGN(const Plugins plugins, find_plugins(context));
    HOST_TRY(check_name(context.line.method, "preprocess", plugins.preprocessors()));
    host::DecodedImage image;
    if (!context.line.picture.empty()) {
        HOST_ASSIGN(image, host::read_png(context.line.picture));
    }
    const Interrupt interrupt;
    PreprocessRequest request;
    if (!context.line.picture.empty()) request.bitmap = bitmap_of(image);
    request.preprocessor = context.line.method;
    request.width = context.line.width;
    request.height = context.line.height;
    request.seed = context.line.seed;
    request.precision = precision_of(context.settings);
    request.cancel = &interrupt.cancel();
    HOST_ASSIGN(request.plugin_params, plugin_params(context, plugins, {{"preprocessor", context.line.method}}));
    HOST_ASSIGN(const CommandEngine opened, CommandEngine::open(context, plugins, [] {}));
    HOST_ASSIGN(const MadeBitmap made, preprocess(opened.engine(), request));
    HOST_TRY(finish(context, opened.engine(), made));
    return opened.check_validation();
}

}  // namespace pumice::cli
