// The plugin that holds Pumice's own control networks. It uses the SDK and nothing else, as anybody's can.
#include <cstring>

#include "kinds.hpp"

namespace pumice::controlnet {

const std::vector<ControlKind>& kinds() {
    static const std::vector<ControlKind> all = {
        {{sizeof(pumice_control_descriptor), 0, "controlnet", "ControlNet",
          "edges, depth, poses and more, for SD 1.x, 2.x and XL (Zhang et al. 2023)", 0, 0, nullptr},
         open_controlnet},
        {{sizeof(pumice_control_descriptor), 0, "t2i_adapter", "T2I-Adapter",
          "the same at less cost: computed once a picture (Mou et al. 2023)", 0, 0, nullptr},
         open_t2i_adapter}};
    return all;
}

namespace {

/// An instance's own.
struct Networks {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    /// What needs the device is looked for when a model is opened.
    pumice_sdk_status init(const pumice_host* from) {
        host.host = from;
        return PUMICE_SDK_OK;
    }
    Host host;
    std::unique_ptr<Model> model;
};

Networks& networks_of(pumice_plugin* plugin) {
    return sdk::SinglePlugin<Networks>::of(plugin);
}

const pumice_control_descriptor* describe(pumice_plugin*, std::uint32_t index) {
    return index < kinds().size() ? &kinds()[index].descriptor : nullptr;
}

pumice_sdk_status open(pumice_plugin* plugin, std::uint32_t index, const pumice_control_model* model) {
    if (index >= kinds().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return sdk::guarded([&] {
        Networks& self = networks_of(plugin);
        pumice_sdk_status status = self.host.find(self.host.host);
        if (status == PUMICE_SDK_OK) status = self.host.weights->open(self.host.host, model->path, &self.host.file);
        return status == PUMICE_SDK_OK ? kinds()[index].open(self.host, *model, self.model) : status;
    });
}

pumice_sdk_status prepare(pumice_plugin* plugin, std::uint32_t, const pumice_control_prepare* call) {
    Model* model = networks_of(plugin).model.get();
    return model ? sdk::guarded([&] { return model->prepare(*call); }) : PUMICE_SDK_INVALID_ARGUMENT;
}

pumice_sdk_status step(pumice_plugin* plugin, std::uint32_t, const pumice_control_step* call) {
    Model* model = networks_of(plugin).model.get();
    return model ? sdk::guarded([&] { return model->step(*call); }) : PUMICE_SDK_INVALID_ARGUMENT;
}

const void* Networks::get_extension(pumice_plugin*, const char* id) {
    static const pumice_control_1 control = {
        sizeof(pumice_control_1), static_cast<std::uint32_t>(kinds().size()), describe, open, prepare, step};
    return std::strcmp(id, PUMICE_CONTROL_1) == 0 ? &control : nullptr;
}

const pumice_plugin_descriptor Networks::descriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.controlnet",
    "Control networks",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "ControlNet and T2I-Adapter",
};

}  // namespace
}  // namespace pumice::controlnet

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry =
    pumice::sdk::SinglePlugin<pumice::controlnet::Networks>::entry();
}
