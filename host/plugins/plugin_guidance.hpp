// A plugin's method of guidance as the engine's Guidance.
#pragma once

#include "diffusion/guidance.hpp"
#include "plugins/plugin_method.hpp"
#include "plugins/session.hpp"

namespace pumice::plugins {

class PluginGuidance final : public Guidance {
public:
    /// Makes the instance that all calls of a request go to, and asks it for the perturbed blocks. A plugin's errors
    /// begin with its id.
    static Result<std::unique_ptr<Guidance>> create(PluginMethod, const std::filesystem::path& marker_folder, Log);

    const std::vector<std::string>& perturbed_blocks() const override { return perturbed_; }
    Status run(const GuidanceCall&) override;

private:
    PluginGuidance(PluginMethod method, const std::filesystem::path& marker_folder, Log log)
        : method_(std::move(method)),
          marker_(marker_folder, method_.id),
          log_(log),
          session_(method_.id, log, &marker_) {}
    Status ask_perturbed();

    PluginMethod method_;
    Marker marker_;
    Log log_;
    Session session_;
    std::optional<Instance> instance_;
    std::vector<std::string> perturbed_;
};

}  // namespace pumice::plugins
