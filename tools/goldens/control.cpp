// ControlNet, running as the plugin it is: the hint's embedding, the residuals, and the UNet with them at several
// weights.
#include <array>
#include <map>

#include "models/model.hpp"
#include "models/unet.hpp"
#include "network.hpp"
#include "ops/ops.hpp"
#include "plugins/plugin_control.hpp"

namespace pumice::goldens {
namespace {

struct Case {
    Suite& suite;
    Model& model;
    std::shared_ptr<KernelCache> kernels;
    std::string name;  ///< "control/cn_0"

    Result<Npy<float>> npy(const std::string& what) const { return suite.npy(name + "." + what + ".npy"); }
};

/// How much each residual counts in one of the stored outputs.
struct Variant {
    const char* file;
    double (*weight)(const ControlResidual&);
};

constexpr Variant kVariants[] = {
    {"out_none", [](const ControlResidual&) { return 0.0; }},
    {"out", [](const ControlResidual&) { return 1.0; }},
    {"out_w06", [](const ControlResidual&) { return 0.6; }},
    {"out_guess", [](const ControlResidual& r) { return r.soft_weight; }},
    {"out_midonly", [](const ControlResidual& r) { return r.block == "middle_block" ? 1.0 : 0.0; }}};

Status compare(const Case& c, Network& network, TensorId id, const std::string& what) {
    PUMICE_ASSIGN(const auto expected, c.npy(what));
    PUMICE_ASSIGN(const auto values, network.read(id));
    const auto channels = static_cast<std::uint32_t>(expected.shape[1]);
    c.suite.compare_network(c.name + "." + what, nchw(values, network.graph().shape(id), channels), expected.data);
    return {};
}

Status run_case(const Case& c) {
    PUMICE_ASSIGN(const auto x, c.npy("x"));
    PUMICE_ASSIGN(const auto t, c.npy("t"));
    PUMICE_ASSIGN(const auto context, c.npy("ctx"));
    PUMICE_ASSIGN(const auto hint, c.npy("hint"));
    PUMICE_ASSIGN(const auto registry, c.suite.plugins());
    PUMICE_ASSIGN(
        const auto control,
        plugins::open_control(
            *registry, "",
            {.path = c.suite.path("control/controlnet_tiny.safetensors").string(), .unet = c.model.config().unet},
            {.device = c.model.device(), .kernels = c.kernels, .precision = c.suite.options().precision}, {}));
    Network network(c.model.device(), c.kernels, c.suite.options().precision);
    Graph& g = network.graph();
    const auto activation = [&](const Npy<float>& nchw) {
        const std::vector<float> values = nhwc(nchw);
        return ops::cast(g, network.input(nhwc_shape(nchw), values), g.activation());
    };
    const Shape context_shape{1, 1, static_cast<std::uint32_t>(context.shape[1]),
                              static_cast<std::uint32_t>(context.shape[2])};
    UnetInputs inputs{activation(x), network.input({1, 1, 1, 1}, t.data),
                      ops::cast(g, network.input(context_shape, context.data), g.activation())};
    const std::vector<TensorId> prepared = control->prepare(g, activation(hint));
    const auto residuals = control->step(
        g, {.x = inputs.x, .timesteps = inputs.timesteps, .context = inputs.context, .prepared = prepared});
    if (const Error* error = g.error()) return *error;

    std::vector<TensorId> outputs = prepared;
    for (const ControlResidual& r : residuals) outputs.push_back(r.tensor);
    std::map<std::string, TensorId> pictures;
    for (const Variant& variant : kVariants) {
        std::vector<float> weights;
        for (const ControlResidual& r : residuals) weights.push_back(static_cast<float>(variant.weight(r)));
        weights.resize((weights.size() + 3) / 4 * 4);
        const TensorId params = network.input({1, 1, 1, static_cast<std::uint32_t>(weights.size())}, weights);
        std::vector<UnetResidual> added;
        for (const ControlResidual& r : residuals)
            added.push_back(
                {control->name(), r.block, r.to_output, r.tensor, params, static_cast<std::uint32_t>(added.size())});
        inputs.residuals = added;
        pictures[variant.file] = unet(g, c.model.unet_weights(), inputs, c.model.config().unet.heads);
        outputs.push_back(pictures[variant.file]);
    }
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(c.model.unet_weights().flush());
    PUMICE_TRY(control->flush());
    PUMICE_TRY(network.run(outputs));

    c.suite.exact(c.name + ".kept", prepared.size() == 1, std::to_string(prepared.size()));
    PUMICE_TRY(compare(c, network, prepared[0], "hint_embed"));
    for (std::size_t i = 0; i < residuals.size(); ++i)
        PUMICE_TRY(compare(c, network, residuals[i].tensor, "res" + std::to_string(i)));
    c.suite.exact(c.name + ".residuals", !c.suite.exists(c.name + ".res" + std::to_string(residuals.size()) + ".npy"),
                  std::to_string(residuals.size()));
    for (const auto& [file, id] : pictures) PUMICE_TRY(compare(c, network, id, file));
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sd1/sd1_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    suite.helper("control/controlnet_tiny");
    for (int i = 0; suite.exists("control/cn_" + std::to_string(i) + ".x.npy"); ++i) {
        const std::string name = "control/cn_" + std::to_string(i);
        if (suite.wanted(name)) suite.run(name, [&] { return run_case({suite, *model, kernels, name}); });
    }
    return {};
}

}  // namespace

void control_cases(Suite& suite) {
    if (suite.exists("control/controlnet_tiny.safetensors")) suite.run("control", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
