// The plugin that holds Pumice's own control networks. It uses the SDK and nothing else, as anybody's can.
#include <cstring>
#include <exception>
#include <new>

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

struct Instance {
    pumice_plugin plugin{};
    Host host;
    std::unique_ptr<Model> model;
};

Instance& instance_of(pumice_plugin* plugin) {
    return *static_cast<Instance*>(plugin->data);
}

/// No exception of the standard library's leaves the plugin.
template <class Work>
pumice_sdk_status guarded(Work&& work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    } catch (const std::exception&) {
        return PUMICE_SDK_INTERNAL;
    }
}

const pumice_control_descriptor* describe(pumice_plugin*, std::uint32_t index) {
    return index < kinds().size() ? &kinds()[index].descriptor : nullptr;
}

pumice_sdk_status open(pumice_plugin* plugin, std::uint32_t index, const pumice_control_model* model) {
    if (index >= kinds().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return guarded([&] {
        Instance& self = instance_of(plugin);
        pumice_sdk_status status = self.host.find(self.host.host);
        if (status == PUMICE_SDK_OK) status = self.host.weights->open(self.host.host, model->path, &self.host.file);
        return status == PUMICE_SDK_OK ? kinds()[index].open(self.host, *model, self.model) : status;
    });
}

pumice_sdk_status prepare(pumice_plugin* plugin, std::uint32_t, const pumice_control_prepare* call) {
    Model* model = instance_of(plugin).model.get();
    return model ? guarded([&] { return model->prepare(*call); }) : PUMICE_SDK_INVALID_ARGUMENT;
}

pumice_sdk_status step(pumice_plugin* plugin, std::uint32_t, const pumice_control_step* call) {
    Model* model = instance_of(plugin).model.get();
    return model ? guarded([&] { return model->step(*call); }) : PUMICE_SDK_INVALID_ARGUMENT;
}

const void* get_extension(pumice_plugin*, const char* id) {
    static const pumice_control_1 control = {
        sizeof(pumice_control_1), static_cast<std::uint32_t>(kinds().size()), describe, open, prepare, step};
    return std::strcmp(id, PUMICE_CONTROL_1) == 0 ? &control : nullptr;
}

const pumice_plugin_descriptor kDescriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.controlnet",
    "Control networks",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "ControlNet and T2I-Adapter",
};

/// What needs the device is looked for when a model is opened.
pumice_sdk_status init(pumice_plugin*) {
    return PUMICE_SDK_OK;
}

void destroy(pumice_plugin* plugin) {
    delete static_cast<Instance*>(plugin->data);
}

pumice_sdk_status create(std::uint32_t index, const pumice_host* host, pumice_plugin** plugin) {
    if (index != 0) return PUMICE_SDK_INVALID_ARGUMENT;
    auto* made = new (std::nothrow) Instance;
    if (!made) return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    made->host.host = host;
    made->plugin = {sizeof(pumice_plugin), 0, &kDescriptor, made, init, destroy, get_extension};
    *plugin = &made->plugin;
    return PUMICE_SDK_OK;
}

const void* get_factory(const char* id) {
    static const pumice_plugin_factory_1 factory = {
        sizeof(pumice_plugin_factory_1), 0, [] { return 1u; },
        [](std::uint32_t index) { return index == 0 ? &kDescriptor : nullptr; }, create};
    return std::strcmp(id, PUMICE_PLUGIN_FACTORY_1) == 0 ? &factory : nullptr;
}

}  // namespace
}  // namespace pumice::controlnet

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1),
    PUMICE_SDK_ABI_MAJOR,
    PUMICE_SDK_ABI_MINOR,
    0,
    [](const char*) { return PUMICE_SDK_OK; },
    [] {},
    pumice::controlnet::get_factory,
};
}
