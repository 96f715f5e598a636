// The plugin that holds Pumice's own methods of guidance. It uses the SDK and nothing else, as anybody's can.
#include <cstring>

#include "methods.hpp"

namespace pumice::guidance {
namespace {

/// An instance's own.
struct Methods {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    /// What needs the device is looked for when a method runs.
    pumice_sdk_status init(const pumice_host* from) {
        host.host = from;
        return PUMICE_SDK_OK;
    }
    sdk::SamplerHost host;
};

const pumice_guidance_descriptor* describe(pumice_plugin*, std::uint32_t index) {
    return index < methods().size() ? &methods()[index].descriptor : nullptr;
}

pumice_sdk_status run(pumice_plugin* plugin, std::uint32_t index, const pumice_guidance_call* call) {
    if (index >= methods().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return sdk::guarded([&] {
        sdk::SamplerHost& host = sdk::SinglePlugin<Methods>::of(plugin).host;
        if (!host.tensor) {
            if (const pumice_sdk_status found = host.find(host.host); found != PUMICE_SDK_OK) return found;
        }
        Guiding guiding(host, *call);
        methods()[index].run(guiding);
        return guiding.status();
    });
}

const char* perturbed_blocks(pumice_plugin*, std::uint32_t, const pumice_param_value* params) {
    return params[kPerturbedBlocks].text;
}

const void* Methods::get_extension(pumice_plugin*, const char* id) {
    static const pumice_guidance_1 guidance = {sizeof(pumice_guidance_1), static_cast<std::uint32_t>(methods().size()),
                                               describe, run, perturbed_blocks};
    return std::strcmp(id, PUMICE_GUIDANCE_1) == 0 ? &guidance : nullptr;
}

const pumice_plugin_descriptor Methods::descriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.guidance",
    "Guidance",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "the methods of guidance that come with Pumice",
};

}  // namespace
}  // namespace pumice::guidance

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry =
    pumice::sdk::SinglePlugin<pumice::guidance::Methods>::entry();
}
