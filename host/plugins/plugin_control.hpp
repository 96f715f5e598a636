// A plugin's control network as the engine's ControlNetwork.
#pragma once

#include <memory>
#include <string>

#include "pipelines/control.hpp"
#include "plugins/plugin_method.hpp"
#include "plugins/registry.hpp"
#include "plugins/session.hpp"

namespace pumice::plugins {

struct ControlModel {
    std::string path;
    std::string family = "sd1";
    UnetConfig unet;  ///< that it is to steer
};

class PluginControl final : public ControlNetwork {
public:
    /// Makes an instance and lets it open the model. Code::unsupported for a file of another kind; a plugin's errors
    /// begin with its id.
    static Result<std::shared_ptr<ControlNetwork>> open(PluginMethod, const ControlModel&, const DeviceServices&,
                                                        const std::filesystem::path& marker_folder, Log);

    std::string name() const override { return "plugin " + method_.id + ": control " + method_.method.name; }
    std::vector<TensorId> prepare(Graph&, TensorId picture) override;
    std::vector<ControlResidual> step(Graph&, const ControlStep&) override;
    Status flush() override { return session_.device()->flush_weights(); }

private:
    PluginControl(PluginMethod method, const std::filesystem::path& marker_folder, Log log)
        : method_(std::move(method)),
          marker_(marker_folder, method_.id),
          session_(method_.id, std::move(log), &marker_) {}
    Status open_model(const ControlModel&);
    /// Calls `work` (→ status) of the plugin; what went wrong becomes the graph's error.
    template <class Work>
    void append(Graph&, const char* doing, Work&& work);

    PluginMethod method_;
    Marker marker_;
    Session session_;
    std::optional<Instance> instance_;
};

/// Opens the model with the named kind of control or, for an empty name, with the first that takes it.
/// Code::unsupported when none does.
Result<std::shared_ptr<ControlNetwork>> open_control(Registry&, const std::string& name, const ControlModel&,
                                                     const DeviceServices&, const Log&);

}  // namespace pumice::plugins
