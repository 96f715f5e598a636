// The plugin that holds Pumice's own methods of guidance. It uses the SDK and nothing else, as anybody's can.
#include <cstring>
#include <exception>
#include <new>

#include "methods.hpp"

namespace pumice::guidance {
namespace {

struct Instance {
    pumice_plugin plugin{};
    sdk::SamplerHost host;
};

sdk::SamplerHost& host_of(pumice_plugin* plugin) {
    return static_cast<Instance*>(plugin->data)->host;
}

const pumice_guidance_descriptor* describe(pumice_plugin*, std::uint32_t index) {
    return index < methods().size() ? &methods()[index].descriptor : nullptr;
}

pumice_sdk_status run(pumice_plugin* plugin, std::uint32_t index, const pumice_guidance_call* call) {
    if (index >= methods().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    try {
        sdk::SamplerHost& host = host_of(plugin);
        if (!host.tensor) {
            if (const pumice_sdk_status found = host.find(host.host); found != PUMICE_SDK_OK) return found;
        }
        Guiding guiding(host, *call);
        methods()[index].run(guiding);
        return guiding.status();
    } catch (const std::bad_alloc&) {
        return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    } catch (const std::exception&) {
        return PUMICE_SDK_INTERNAL;
    }
}

const char* perturbed_blocks(pumice_plugin*, std::uint32_t, const pumice_param_value* params) {
    return params[kPerturbedBlocks].text;
}

const void* get_extension(pumice_plugin*, const char* id) {
    static const pumice_guidance_1 guidance = {sizeof(pumice_guidance_1), static_cast<std::uint32_t>(methods().size()),
                                               describe, run, perturbed_blocks};
    return std::strcmp(id, PUMICE_GUIDANCE_1) == 0 ? &guidance : nullptr;
}

const pumice_plugin_descriptor kDescriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.guidance",
    "Guidance",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "the methods of guidance that come with Pumice",
};

/// What needs the device is looked for when a method runs.
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
}  // namespace pumice::guidance

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1),
    PUMICE_SDK_ABI_MAJOR,
    PUMICE_SDK_ABI_MINOR,
    0,
    [](const char*) { return PUMICE_SDK_OK; },
    [] {},
    pumice::guidance::get_factory,
};
}
