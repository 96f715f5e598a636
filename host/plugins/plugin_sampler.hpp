// A sampler and a schedule of plugins as the engine's Sampler.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "diffusion/sampler.hpp"
#include "plugins/library.hpp"
#include "plugins/params.hpp"

namespace pumice::plugins {

/// A sampler, schedule or the like of a loaded library, with values for its parameters.
struct PluginMethod {
    std::string id;  ///< of the plugin
    std::shared_ptr<Library> library;
    std::uint32_t plugin = 0;  ///< in the library
    std::uint32_t index = 0;   ///< in the plugin's extension
    Method method;
    std::vector<ParamValue> params;
};

/// Its parameters as a plugin gets them; they point into the method.
std::vector<pumice_param_value> values_of(const PluginMethod&);
/// The error with the plugin's id before it.
Error of_plugin(const PluginMethod&, Error);

/// Whether the extension still has at its index what it had when it was tried out: verdicts are kept in a file, and a
/// plugin trusts the index it is given.
template <class Extension>
Status check_method(const Extension* extension, const Instance& instance, const PluginMethod& method) {
    if (extension && method.index < extension->count) {
        const auto* now = extension->describe(instance.plugin(), method.index);
        if (now && now->name && method.method.name == now->name && now->param_count == method.params.size()) return {};
    }
    return of_plugin(method, {Code::internal,
                              "it no longer has what it had when it was tried out; run pumice plugins list --probe"});
}

/// The levels that a schedule gives, checked with check_sigmas. Code::invalid_argument for steps outside
/// 1…table.size(); a plugin's errors begin with its id.
Result<std::vector<float>> run_schedule(const PluginMethod&, const std::string& family, const SigmaTable&,
                                        std::uint32_t steps, const Log&, const std::filesystem::path& marker_folder);

class PluginSampler final : public Sampler {
public:
    PluginSampler(PluginMethod sampler, PluginMethod schedule, std::string family, std::filesystem::path marker_folder,
                  Log log)
        : sampler_(std::move(sampler)),
          schedule_(std::move(schedule)),
          family_(std::move(family)),
          marker_folder_(std::move(marker_folder)),
          log_(std::move(log)) {}

    Result<std::vector<float>> sigmas(const SigmaTable&, std::uint32_t steps) override;
    double initial_scale(std::span<const float> sigmas) const override;
    std::uint32_t calls_per_step() const override { return sampler_.method.calls_per_step; }
    Status run(const SamplerCall&, const Latent& x) override;

private:
    PluginMethod sampler_, schedule_;
    std::string family_;
    std::filesystem::path marker_folder_;
    Log log_;
};

}  // namespace pumice::plugins
