// The kinds of control networks of this plugin.
#pragma once

#include <memory>
#include <vector>

#include "network.hpp"

namespace pumice::controlnet {

struct ControlKind {
    pumice_control_descriptor descriptor;
    /// See pumice_control_1.open; host.file is open.
    pumice_sdk_status (*open)(const Host& host, const pumice_control_model& model, std::unique_ptr<Model>& opened);
};

pumice_sdk_status open_controlnet(const Host&, const pumice_control_model&, std::unique_ptr<Model>&);
pumice_sdk_status open_t2i_adapter(const Host&, const pumice_control_model&, std::unique_ptr<Model>&);

const std::vector<ControlKind>& kinds();

}  // namespace pumice::controlnet
