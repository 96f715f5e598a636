#include "network.hpp"

namespace pumice::controlnet {

pumice_sdk_status Host::find(const pumice_host* from) {
    host = from;
    graph = sdk::find_extension<pumice_host_graph_1>(from, PUMICE_HOST_GRAPH_1);
    weights = sdk::find_extension<pumice_host_weights_1>(from, PUMICE_HOST_WEIGHTS_1);
    kernel = sdk::find_extension<pumice_host_kernel_1>(from, PUMICE_HOST_KERNEL_1);
    if (graph && weights && kernel) return PUMICE_SDK_OK;
    return fail(PUMICE_SDK_MISSING_FEATURE, "the host has no pumice.graph/1, pumice.weights/1 and pumice.kernel/1");
}

pumice_sdk_status Host::fail(pumice_sdk_status status, const std::string& why) const {
    if (failed != PUMICE_SDK_OK) return failed;
    host->set_error(host, why.c_str());
    return status;
}

bool Host::has(const std::string& name) const {
    return weights->find(host, file, name.c_str()) < weights->count(host, file);
}

std::vector<std::uint64_t> Host::shape(const std::string& name) const {
    pumice_weight_info info{};
    info.struct_size = sizeof(info);
    const std::uint32_t index = weights->find(host, file, name.c_str());
    if (index >= weights->count(host, file)) return {};
    const pumice_sdk_status status = weights->info(host, file, index, &info);
    if (failed == PUMICE_SDK_OK) failed = status;
    if (status != PUMICE_SDK_OK) return {};
    return {info.shape, info.shape + info.rank};
}

pumice_weight Network::weight(const std::string& name, std::uint32_t use) {
    pumice_weight handle = 0;
    if (status_ == PUMICE_SDK_OK) status_ = host_.weights->load(host_.host, host_.file, name.c_str(), use, &handle);
    return handle;
}

pumice_weight Network::bias(const std::string& name, std::uint32_t use) {
    return host_.has(name + ".bias") ? weight(name + ".bias", use) : 0;
}

pumice_node Network::linear(const std::string& name, pumice_node x, pumice_node residual, std::uint32_t activation,
                            bool float32) {
    pumice_linear_options options{};
    options.struct_size = sizeof(options);
    options.weight = weight(name + ".weight", PUMICE_WEIGHT_LINEAR);
    options.bias = bias(name);
    options.residual = residual;
    options.activation = activation;
    options.float32 = float32 ? 1 : 0;
    return status_ == PUMICE_SDK_OK ? host_.graph->linear(host_.host, graph_, x, &options) : 0;
}

pumice_node Network::geglu(const std::string& name, pumice_node x) {
    pumice_linear_options options{};
    options.struct_size = sizeof(options);
    options.weight = weight(name + ".weight", PUMICE_WEIGHT_GEGLU);
    options.bias = bias(name, PUMICE_WEIGHT_GEGLU_VECTOR);
    return status_ == PUMICE_SDK_OK ? host_.graph->linear(host_.host, graph_, x, &options) : 0;
}

pumice_node Network::conv(const std::string& name, pumice_node x, const Conv& conv) {
    const auto shape = host_.shape(name + ".weight");
    const std::uint32_t pad = shape.size() == 4 ? static_cast<std::uint32_t>(shape[2] / 2) : 0;
    pumice_conv2d_options options{};
    options.struct_size = sizeof(options);
    options.weight = weight(name + ".weight", PUMICE_WEIGHT_CONV);
    options.bias = bias(name);
    options.residual = conv.residual;
    options.channel_add = conv.channel_add;
    options.stride = conv.stride;
    options.pad_top = options.pad_left = options.pad_bottom = options.pad_right = pad;
    options.activation = conv.activation;
    return status_ == PUMICE_SDK_OK ? host_.graph->conv2d(host_.host, graph_, x, &options) : 0;
}

pumice_node Network::group_norm(const std::string& name, pumice_node x, float eps, bool silu) {
    const pumice_weight gamma = weight(name + ".weight", PUMICE_WEIGHT_VECTOR);
    const pumice_weight beta = weight(name + ".bias", PUMICE_WEIGHT_VECTOR);
    if (status_ != PUMICE_SDK_OK) return 0;
    return host_.graph->group_norm(host_.host, graph_, x, gamma, beta, 32, eps, silu ? 1 : 0);
}

pumice_node Network::layer_norm(const std::string& name, pumice_node x) {
    const pumice_weight gamma = weight(name + ".weight", PUMICE_WEIGHT_VECTOR);
    const pumice_weight beta = weight(name + ".bias", PUMICE_WEIGHT_VECTOR);
    return status_ == PUMICE_SDK_OK ? host_.graph->layer_norm(host_.host, graph_, x, gamma, beta, 1e-5f) : 0;
}

pumice_node Network::attention(pumice_node q, pumice_node k, pumice_node v, std::uint32_t heads) {
    return host_.graph->attention(host_.host, graph_, q, k, v, heads, 0);
}

pumice_node Network::add(pumice_node a, pumice_node b) {
    const pumice_graph_term terms[] = {{a, 1}, {b, 1}};
    return host_.graph->combine(host_.host, graph_, terms, 2);
}

pumice_node Network::silu(pumice_node x) {
    return host_.graph->activation(host_.host, graph_, x, PUMICE_ACTIVATE_SILU, 0);
}

void Network::take(pumice_sdk_status status) {
    if (status_ == PUMICE_SDK_OK) status_ = status;
}

pumice_sdk_status Network::status() const {
    if (host_.failed != PUMICE_SDK_OK) return host_.failed;
    return status_ != PUMICE_SDK_OK ? status_ : host_.graph->check(host_.host, graph_);
}

}  // namespace pumice::controlnet
