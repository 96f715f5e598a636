#include <cmath>
#include <map>

#include "models/model.hpp"
#include "models/unet.hpp"
#include "models/vae.hpp"
#include "network.hpp"
#include "ops/ops.hpp"

namespace pumice::goldens {
namespace {

/// "input_blocks.3" → "in3", as the dumps are called.
std::string dump_name(const std::string& block) {
    if (block == "time_embed") return "temb";
    if (block == "middle_block") return "mid";
    const std::string number = block.substr(block.find('.') + 1);
    return (block.starts_with("input_blocks") ? "in" : "out") + number;
}

struct Case {
    Suite& suite;
    Model& model;
    std::shared_ptr<KernelCache> kernels;
    std::string name;  ///< "sdxl/unet_0"

    Result<Npy<float>> npy(const std::string& what) const { return suite.npy(name + "." + what + ".npy"); }
    bool has(const std::string& what) const { return suite.exists(name + "." + what + ".npy"); }
    Network network() const { return {model.device(), kernels, suite.options().precision}; }
};

Status unet_case(const Case& c) {
    PUMICE_ASSIGN(const auto x, c.npy("x"));
    PUMICE_ASSIGN(const auto t, c.npy("t"));
    PUMICE_ASSIGN(const auto context, c.npy("ctx"));
    PUMICE_ASSIGN(const auto expected, c.npy("out"));
    Network network = c.network();
    Graph& g = network.graph();
    const auto n = static_cast<std::uint32_t>(x.shape[0]);
    const Shape context_shape{n, 1, static_cast<std::uint32_t>(context.shape[1]),
                              static_cast<std::uint32_t>(context.shape[2])};
    const std::vector<float> latent = nhwc(x);
    UnetInputs inputs{.x = ops::cast(g, network.input(nhwc_shape(x), latent), g.activation()),
                      .timesteps = network.input({1, 1, 1, n}, t.data),
                      .context = ops::cast(g, network.input(context_shape, context.data), g.activation()),
                      .head_channels = c.model.config().unet.head_channels};
    if (c.has("y")) {
        PUMICE_ASSIGN(const auto y, c.npy("y"));
        inputs.vector = network.input({n, 1, 1, static_cast<std::uint32_t>(y.shape[1])}, y.data);
    }
    std::vector<TensorId> outputs;
    std::map<std::string, TensorId> dumps;
    const auto hook = [&](const std::string& block, TensorId id) {
        const std::string dump = "dump_" + dump_name(block);
        if (!c.has(dump)) return;
        dumps[dump] = id;
        outputs.push_back(id);
    };
    const TensorId out = unet(g, c.model.unet_weights(), inputs, c.model.config().unet.heads, hook);
    outputs.push_back(out);
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(c.model.unet_weights().flush());
    PUMICE_TRY(network.run(outputs));
    for (const auto& [dump, id] : dumps) {
        PUMICE_ASSIGN(const auto wanted, c.npy(dump));
        PUMICE_ASSIGN(const auto values, network.read(id));
        Shape first = g.shape(id);
        first.n = 1;
        c.suite.compare_network(c.name + "." + dump, nchw(values, first, first.c), wanted.data);
    }
    PUMICE_ASSIGN(const auto values, network.read(out));
    const auto channels = static_cast<std::uint32_t>(expected.shape[1]);
    c.suite.compare_network(c.name, nchw(values, g.shape(out), channels), expected.data);
    return {};
}

Status decode_case(const Case& c) {
    PUMICE_ASSIGN(const auto z, c.npy("z"));
    PUMICE_ASSIGN(const auto expected, c.npy("dec"));
    Network network = c.network();
    Graph& g = network.graph();
    const std::vector<float> latent = nhwc(z);
    const TensorId out = vae_decode(g, c.model.vae_weights(),
                                    ops::cast(g, network.input(nhwc_shape(z), latent), g.activation()));
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(c.model.vae_weights().flush());
    PUMICE_TRY(network.run(std::array{out}));
    PUMICE_ASSIGN(const auto values, network.read(out));
    c.suite.compare_network(c.name + ".dec", nchw(values, g.shape(out), 3), expected.data);
    return {};
}

Status encode_case(const Case& c) {
    PUMICE_ASSIGN(const auto image, c.npy("img"));
    PUMICE_ASSIGN(const auto mean, c.npy("mean"));
    PUMICE_ASSIGN(const auto logvar, c.npy("logvar"));
    PUMICE_ASSIGN(const auto noise, c.npy("noise"));
    PUMICE_ASSIGN(const auto sample, c.npy("sample_scaled"));
    Network network = c.network();
    Graph& g = network.graph();
    const std::vector<float> pixels = nhwc(image);
    const TensorId out = vae_encode(g, c.model.vae_weights(),
                                    ops::cast(g, network.input(nhwc_shape(image), pixels), g.activation()));
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(c.model.vae_weights().flush());
    PUMICE_TRY(network.run(std::array{out}));
    PUMICE_ASSIGN(const auto values, network.read(out));
    const std::vector<float> moments = nchw(values, g.shape(out), 8);
    const std::size_t half = moments.size() / 2;  // one picture: mean, then log variance
    const std::span got_mean = std::span(moments).first(half);
    std::vector<float> got_logvar(moments.begin() + static_cast<std::ptrdiff_t>(half), moments.end());
    std::vector<float> got_sample(half);
    const auto scale = static_cast<float>(c.model.config().vae.scaling_factor);
    for (std::size_t i = 0; i < half; ++i) {
        got_logvar[i] = std::clamp(got_logvar[i], -30.0f, 20.0f);
        got_sample[i] = (got_mean[i] + std::exp(0.5f * got_logvar[i]) * noise.data[i]) * scale;
    }
    c.suite.compare_network(c.name + ".mean", got_mean, mean.data);
    c.suite.compare_network(c.name + ".logvar", got_logvar, logvar.data);
    c.suite.compare_network(c.name + ".sample_scaled", got_sample, sample.data);
    return {};
}

Status all_cases(Suite& suite, const std::string& family) {
    const std::string folder = family + "/";
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path(folder + family + "_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    suite.helper(folder + family + "_tiny");
    suite.helper(folder + family + "_config");
    for (int i = 0; suite.exists(folder + "unet_" + std::to_string(i) + ".x.npy"); ++i) {
        const Case c{suite, *model, kernels, folder + "unet_" + std::to_string(i)};
        if (suite.wanted(c.name)) suite.run(c.name, [&] { return unet_case(c); });
    }
    for (int i = 0; suite.exists(folder + "vae_" + std::to_string(i) + ".z.npy"); ++i) {
        const Case c{suite, *model, kernels, folder + "vae_" + std::to_string(i)};
        if (!suite.wanted(c.name)) continue;
        suite.run(c.name + ".dec", [&] { return decode_case(c); });
        suite.run(c.name + ".mean", [&] { return encode_case(c); });
    }
    return {};
}

}  // namespace

void model_cases(Suite& suite, const std::string& family) {
    if (suite.exists(family + "/" + family + "_tiny.safetensors"))
        suite.run(family, [&] { return all_cases(suite, family); });
}

}  // namespace pumice::goldens
