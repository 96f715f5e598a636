// Networks over pumice.graph/1 and pumice.weights/1 that read as their formulas: the first error stays with the graph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pumice/sdk.hpp"

namespace pumice::controlnet {

/// The host's extensions that control networks work with, and the model's file.
struct Host {
    const pumice_host* host = nullptr;
    const pumice_host_graph_1* graph = nullptr;
    const pumice_host_weights_1* weights = nullptr;
    const pumice_host_kernel_1* kernel = nullptr;
    pumice_weight_file file = 0;
    mutable pumice_sdk_status failed = PUMICE_SDK_OK;  ///< of the host, in this call: of what `shape` asks for

    /// PUMICE_SDK_MISSING_FEATURE, and an error text, if one is lacking.
    pumice_sdk_status find(const pumice_host* from);
    /// What the host failed with, or this.
    pumice_sdk_status fail(pumice_sdk_status status, const std::string& why) const;

    bool has(const std::string& name) const;
    /// Of a tensor; empty if there is none.
    std::vector<std::uint64_t> shape(const std::string& name) const;
};

/// What layers have in common: NAME.weight and, if the file has it, NAME.bias.
class Network {
public:
    Network(const Host& host, pumice_graph graph) : host_(host), graph_(graph) {}

    pumice_node linear(const std::string& name, pumice_node x, pumice_node residual = 0,
                       std::uint32_t activation = PUMICE_ACTIVATE_NONE, bool float32 = false);
    /// value * gelu(gate), half the columns.
    pumice_node geglu(const std::string& name, pumice_node x);
    struct Conv {
        std::uint32_t stride = 1;
        std::uint32_t activation = PUMICE_ACTIVATE_NONE;
        pumice_node channel_add = 0, residual = 0;
    };
    /// 1x1 or 3x3, padded so that stride 1 keeps the size.
    pumice_node conv(const std::string& name, pumice_node x, const Conv& options);
    pumice_node conv(const std::string& name, pumice_node x) { return conv(name, x, Conv{}); }
    pumice_node group_norm(const std::string& name, pumice_node x, float eps, bool silu);
    pumice_node layer_norm(const std::string& name, pumice_node x);
    pumice_node attention(pumice_node q, pumice_node k, pumice_node v, std::uint32_t heads);
    pumice_node add(pumice_node a, pumice_node b);
    pumice_node silu(pumice_node x);
    pumice_shape shape(pumice_node x) const { return host_.graph->shape(host_.host, graph_, x); }
    void scope(const std::string& name) { host_.graph->set_scope(host_.host, graph_, name.c_str()); }

    const Host& host() const { return host_; }
    pumice_graph graph() const { return graph_; }
    /// Takes over a status that the host gave.
    void take(pumice_sdk_status status);
    /// The first error of what is not the graph's, else the graph's.
    pumice_sdk_status status() const;

private:
    pumice_weight weight(const std::string& name, std::uint32_t use);
    pumice_weight bias(const std::string& name, std::uint32_t use = PUMICE_WEIGHT_VECTOR);

    const Host& host_;
    pumice_graph graph_;
    pumice_sdk_status status_ = PUMICE_SDK_OK;
};

/// One model of a kind.
class Model {
public:
    virtual ~Model() = default;
    virtual pumice_sdk_status prepare(const pumice_control_prepare&) = 0;
    virtual pumice_sdk_status step(const pumice_control_step&) = 0;
};

}  // namespace pumice::controlnet
