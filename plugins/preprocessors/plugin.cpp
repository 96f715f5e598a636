// The plugin that holds Pumice's own preprocessors and image filters. It uses the SDK and nothing else of Pumice's.
#include <cstring>

#include "methods.hpp"

namespace pumice::preprocessors {
namespace {

const std::vector<Preprocessor>& preprocessors() {
    static const std::vector<Preprocessor> all = [] {
        std::vector<Preprocessor> made;
        for (auto* methods : {edge_methods, colour_methods, pose_methods})
            for (const Preprocessor& method : methods()) made.push_back(method);
        return made;
    }();
    return all;
}

const std::vector<Filter>& image_filters() {
    static const std::vector<Filter> all = filters();
    return all;
}

/// An instance's own.
struct Preprocessors {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    pumice_sdk_status init(const pumice_host* from) {
        host = from;
        return PUMICE_SDK_OK;
    }
    const pumice_host* host = nullptr;
};

const pumice_host* host_of(pumice_plugin* plugin) {
    return sdk::SinglePlugin<Preprocessors>::of(plugin).host;
}

/// Runs a method from a picture to a picture.
template <class Method>
pumice_sdk_status draw(pumice_plugin* plugin, const Method& method, pumice_picture from, pumice_picture to,
                       std::uint64_t seed, const pumice_param_value* params) {
    return sdk::guarded([&] {
        sdk::Job job(host_of(plugin));
        const auto* math = sdk::find_extension<pumice_host_math_1>(job.host, PUMICE_HOST_MATH_1);
        if (!math) job.fail(PUMICE_SDK_MISSING_FEATURE, "the host has no pumice.math/1");
        const sdk::Picture in(job, from);
        sdk::Picture out(job, to);
        if (!job.ok()) return job.status();
        Drawing drawing{job, *math, in, out, seed, params};
        method.run(drawing);
        return job.status();
    });
}

pumice_sdk_status run_preprocessor(pumice_plugin* plugin, std::uint32_t index, const pumice_preprocessor_call* call) {
    if (index >= preprocessors().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return draw(plugin, preprocessors()[index], call->in, call->out, call->seed, call->params);
}

pumice_sdk_status run_filter(pumice_plugin* plugin, std::uint32_t index, const pumice_image_filter_call* call) {
    if (index >= image_filters().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return draw(plugin, image_filters()[index], call->in, call->out, call->seed, call->params);
}

const void* Preprocessors::get_extension(pumice_plugin*, const char* id) {
    static const pumice_preprocessor_1 preprocessor = {
        sizeof(pumice_preprocessor_1), static_cast<std::uint32_t>(preprocessors().size()),
        [](pumice_plugin*, std::uint32_t index) {
            return index < preprocessors().size() ? &preprocessors()[index].descriptor : nullptr;
        },
        run_preprocessor};
    static const pumice_image_filter_1 filter = {
        sizeof(pumice_image_filter_1), static_cast<std::uint32_t>(image_filters().size()),
        [](pumice_plugin*, std::uint32_t index) {
            return index < image_filters().size() ? &image_filters()[index].descriptor : nullptr;
        },
        run_filter};
    if (std::strcmp(id, PUMICE_PREPROCESSOR_1) == 0) return &preprocessor;
    if (std::strcmp(id, PUMICE_IMAGE_FILTER_1) == 0) return &filter;
    return nullptr;
}

const pumice_plugin_descriptor Preprocessors::descriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.preprocessors",
    "Preprocessors and filters",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "the preprocessors and image filters that come with Pumice",
};

}  // namespace
}  // namespace pumice::preprocessors

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry =
    pumice::sdk::SinglePlugin<pumice::preprocessors::Preprocessors>::entry();
}
