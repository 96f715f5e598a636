// A sampler and a schedule of plugins as the engine's Sampler.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "diffusion/sampler.hpp"
#include "plugins/plugin_method.hpp"

namespace pumice::plugins {

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
    bool unconditional() const override { return (sampler_.method.flags & PUMICE_SAMPLER_UNCONDITIONAL) != 0; }
    Status run(const SamplerCall&, const Latent& x) override;

private:
    PluginMethod sampler_, schedule_;
    std::string family_;
    std::filesystem::path marker_folder_;
    Log log_;
};

}  // namespace pumice::plugins
