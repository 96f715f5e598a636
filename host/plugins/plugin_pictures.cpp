#include "plugins/plugin_pictures.hpp"

#include <cmath>

#include <fmt/format.h>

#include "plugins/session.hpp"

namespace pumice::plugins {
namespace {

/// Makes an instance, gives `run` (Session&, extension, pumice_plugin* → status) the extension that `get` is of it, and
/// turns what comes of it into an outcome.
template <class Extension, class Run>
Status with_instance(const PluginMethod& method, const PictureServices& services, const char* kind,
                     const Extension* (Instance::*get)() const, Run&& run) {
    Marker marker(services.marker_folder, method.id);
    Session session(method.id, services.log, &marker);
    if (services.device.device) session.offer(services.device);
    const Marked inside(&marker, true);
    auto instance = Instance::create(method.library, method.plugin, session.host());
    if (!instance) return method.error(session.init_error(std::move(instance.error())));
    const Extension* extension = ((*instance).*get)();
    PUMICE_TRY(method.check(extension, *instance));
    session.begin_run({.math = nullptr, .step = services.step, .check = services.check});
    std::string thrown;
    const pumice_sdk_status status = call_plugin(thrown, [&] { return run(session, *extension, instance->plugin()); });
    session.end_run();
    const Status outcome = session.outcome(status, thrown, fmt::format("{} {}", kind, method.method.name));
    if (outcome) return {};
    return session.failed_in_host() ? outcome.error() : method.error(outcome.error());
}

/// Of a run that ended well: plugins are given pointers into the pictures.
Status check_bounds(const PluginMethod& method, const char* kind, const Picture* in, const Picture& out) {
    if ((!in || in->intact()) && out.intact()) return {};
    return method.error({Code::internal, fmt::format("{} {} wrote outside of its picture", kind, method.method.name)});
}

}  // namespace

Result<double> inspect_upscaler(const PluginMethod& method, const PictureServices& services, const std::string& model) {
    double scale = 0;
    PUMICE_TRY(with_instance(method, services, "upscaler", &Instance::upscaler,
                             [&](Session&, const pumice_upscaler_1& extension, pumice_plugin* plugin) {
                                 if (!extension.inspect) return PUMICE_SDK_INTERNAL;
                                 return extension.inspect(plugin, method.index, model.c_str(), &scale);
                             }));
    if (!(scale >= 1.0 / 16 && scale <= 64))
        return method.error({Code::internal, fmt::format("upscaler {} says that {} has a factor of {}",
                                                         method.method.name, model, scale)});
    return scale;
}

Status run_upscaler(const PluginMethod& method, const PictureServices& services, Picture& in, Picture& out,
                    const std::string& model) {
    PUMICE_TRY(with_instance(method, services, "upscaler", &Instance::upscaler,
                             [&](Session& session, const pumice_upscaler_1& extension, pumice_plugin* plugin) {
                                 const auto values = method.values();
                                 const pumice_upscaler_call call{sizeof(call),     0,
                                                                 session.lend(in), session.lend(out),
                                                                 model.c_str(),    values.data()};
                                 return extension.run(plugin, method.index, &call);
                             }));
    return check_bounds(method, "upscaler", &in, out);
}

Status run_preprocessor(const PluginMethod& method, const PictureServices& services, Picture* in, Picture& out,
                        std::uint64_t seed) {
    if (!in && (method.method.flags & PUMICE_PREPROCESSOR_NO_PICTURE) == 0)
        return Error{Code::invalid_argument, fmt::format("the preprocessor {} needs a picture", method.method.name)};
    PUMICE_TRY(with_instance(method, services, "preprocessor", &Instance::preprocessor,
                             [&](Session& session, const pumice_preprocessor_1& extension, pumice_plugin* plugin) {
                                 const auto values = method.values();
                                 const pumice_preprocessor_call call{
                                     sizeof(call),      0,    in ? session.lend(*in) : 0,
                                     session.lend(out), seed, values.data()};
                                 return extension.run(plugin, method.index, &call);
                             }));
    return check_bounds(method, "preprocessor", in, out);
}

Status run_image_filter(const PluginMethod& method, const PictureServices& services, Picture& in, Picture& out,
                        std::uint32_t index, std::uint64_t seed) {
    PUMICE_TRY(with_instance(method, services, "image filter", &Instance::image_filter,
                             [&](Session& session, const pumice_image_filter_1& extension, pumice_plugin* plugin) {
                                 const auto values = method.values();
                                 const pumice_image_filter_call call{sizeof(call),      index, session.lend(in),
                                                                     session.lend(out), seed,  values.data()};
                                 return extension.run(plugin, method.index, &call);
                             }));
    return check_bounds(method, "image filter", &in, out);
}

}  // namespace pumice::plugins
