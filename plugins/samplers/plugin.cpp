// The plugin that holds Pumice's own samplers and schedules. It uses the SDK and nothing else, as anybody's can.
#include <algorithm>
#include <cstring>
#include <vector>

#include "methods.hpp"

namespace pumice::samplers {
namespace {

const std::vector<SamplerMethod>& samplers() {
    static const std::vector<SamplerMethod> all = [] {
        std::vector<SamplerMethod> made;
        for (auto* methods : {euler_methods, second_order_methods, dpm_solver_methods, multistep_methods,
                              unipc_methods})
            for (const SamplerMethod& method : methods()) made.push_back(method);
        return made;
    }();
    return all;
}

const std::vector<ScheduleMethod>& schedules() {
    static const std::vector<ScheduleMethod> all = schedule_methods();
    return all;
}

/// An instance's own.
struct Samplers {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    /// What needs the device is looked for here and missed when a sampler runs: schedules work without.
    pumice_sdk_status init(const pumice_host* from) {
        host.find(from);
        return host.math ? PUMICE_SDK_OK : PUMICE_SDK_MISSING_FEATURE;
    }
    sdk::SamplerHost host;
};

const sdk::SamplerHost& host_of(pumice_plugin* plugin) {
    return sdk::SinglePlugin<Samplers>::of(plugin).host;
}

const pumice_sampler_descriptor* describe_sampler(pumice_plugin*, std::uint32_t index) {
    return index < samplers().size() ? &samplers()[index].descriptor : nullptr;
}

pumice_sdk_status run_sampler(pumice_plugin* plugin, std::uint32_t index, const pumice_sampler_call* call) {
    if (index >= samplers().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return sdk::guarded([&] {
        const sdk::SamplerHost& host = host_of(plugin);
        if (!host.tensor || !host.progress) {
            host.host->set_error(host.host, "the host has no pumice.tensor/1 or no pumice.progress/1");
            return PUMICE_SDK_MISSING_FEATURE;
        }
        Sampling run(host, *call);
        samplers()[index].run(run);
        return run.status();
    });
}

const pumice_schedule_descriptor* describe_schedule(pumice_plugin*, std::uint32_t index) {
    return index < schedules().size() ? &schedules()[index].descriptor : nullptr;
}

pumice_sdk_status run_schedule(pumice_plugin* plugin, std::uint32_t index, const pumice_schedule_call* call) {
    if (index >= schedules().size()) return PUMICE_SDK_INVALID_ARGUMENT;
    return sdk::guarded([&] {
        const sdk::SamplerHost& host = host_of(plugin);
        const std::vector<float> sigmas = schedules()[index].run(Scheduling(*host.math, *call));
        if (sigmas.size() > call->capacity) {
            host.host->set_error(host.host, "there is no room for the sigmas");
            return PUMICE_SDK_INVALID_ARGUMENT;
        }
        std::copy(sigmas.begin(), sigmas.end(), call->out);
        *call->count = static_cast<std::uint32_t>(sigmas.size());
        return PUMICE_SDK_OK;
    });
}

const void* Samplers::get_extension(pumice_plugin*, const char* id) {
    static const pumice_sampler_1 sampler = {sizeof(pumice_sampler_1), static_cast<std::uint32_t>(samplers().size()),
                                             describe_sampler, run_sampler};
    static const pumice_schedule_1 schedule = {
        sizeof(pumice_schedule_1), static_cast<std::uint32_t>(schedules().size()), describe_schedule, run_schedule};
    if (std::strcmp(id, PUMICE_SAMPLER_1) == 0) return &sampler;
    if (std::strcmp(id, PUMICE_SCHEDULE_1) == 0) return &schedule;
    return nullptr;
}

const pumice_plugin_descriptor Samplers::descriptor = {
    sizeof(pumice_plugin_descriptor),
    0,
    "pumice.samplers",
    "Samplers",
    PUMICE_PLUGIN_VERSION,
    "Pumice",
    "MIT",
    "the samplers and schedules that come with Pumice",
};

}  // namespace
}  // namespace pumice::samplers

extern "C" {
// Static objects in the functions above are made when first asked for: there is nothing to set up or to undo.
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry =
    pumice::sdk::SinglePlugin<pumice::samplers::Samplers>::entry();
}
