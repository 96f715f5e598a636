#include <bit>
#include <cstring>

#include "base/half.hpp"
#include "models/conditioning.hpp"
#include "models/model.hpp"
#include "models/unet.hpp"
#include "network.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice::goldens {
namespace {

struct Cases {
    Suite& suite;
    Model& model;
    std::shared_ptr<KernelCache> kernels;

    Result<AdapterSet> set(const std::vector<std::pair<std::string, float>>& names) const {
        std::vector<AdapterSet::Entry> entries;
        for (const auto& [name, strength] : names) {
            suite.helper("lora/" + name);
            PUMICE_ASSIGN(auto adapter,
                          Adapter::open(suite.path("lora/" + name + ".safetensors"), model.adapter_targets()));
            if (adapter->left_out() > 0) return Error{Code::bad_format, adapter->warning()};
            entries.push_back({std::move(adapter), strength, strength});
        }
        return AdapterSet(std::move(entries));
    }
    Status unet_output(const std::string& inputs_of, const std::string& name) const;
    Status text_output(std::size_t i, const std::string& ids_file, const std::string& name,
                       const std::string& pooled = {}) const;
    Status merged_weights(const std::string& adapter) const;
};

Status Cases::unet_output(const std::string& inputs_of, const std::string& name) const {
    PUMICE_ASSIGN(const auto x, suite.npy(inputs_of + "x.npy"));
    PUMICE_ASSIGN(const auto t, suite.npy(inputs_of + "t.npy"));
    PUMICE_ASSIGN(const auto context, suite.npy(inputs_of + "ctx.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
    Network network(model.device(), kernels, suite.options().precision);
    Graph& g = network.graph();
    const Shape context_shape{1, 1, static_cast<std::uint32_t>(context.shape[1]),
                              static_cast<std::uint32_t>(context.shape[2])};
    const std::vector<float> latent = nhwc(x);
    UnetInputs inputs{.x = ops::cast(g, network.input(nhwc_shape(x), latent), g.activation()),
                      .timesteps = network.input({1, 1, 1, 1}, t.data),
                      .context = ops::cast(g, network.input(context_shape, context.data), g.activation()),
                      .head_channels = model.config().unet.head_channels};
    if (suite.exists(inputs_of + "y.npy")) {
        PUMICE_ASSIGN(const auto y, suite.npy(inputs_of + "y.npy"));
        inputs.vector = network.input({1, 1, 1, static_cast<std::uint32_t>(y.shape[1])}, y.data);
    }
    const TensorId out = unet(g, model.unet_weights(), inputs, model.config().unet.heads);
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(model.unet_weights().flush());
    PUMICE_TRY(network.run(std::array{out}));
    PUMICE_ASSIGN(const auto values, network.read(out));
    suite.compare_network(name, nchw(values, g.shape(out), 4), expected.data);
    return {};
}

/// Text encoder i over a row of tokens; with `pooled` its pooled state too.
Status Cases::text_output(std::size_t i, const std::string& ids_file, const std::string& name,
                          const std::string& pooled) const {
    PUMICE_ASSIGN(const auto ids, read_npy<std::int32_t>(suite.path(ids_file)));
    PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
    PUMICE_ASSIGN(const auto conditioner,
                  TextConditioner::create(model.device(), *model.kernels(), model.text_weights(i),
                                          suite.options().precision == Precision::exact, model.config().text[i], 1));
    PUMICE_ASSIGN(const auto chunk, conditioner->states(std::span<const std::int32_t, 77>(ids.data.data(), 77)));
    suite.compare_network(name, chunk.states, expected.data);
    if (pooled.empty()) return {};
    PUMICE_ASSIGN(const auto pooled_expected, suite.npy(pooled + ".npy"));
    suite.compare_network(pooled, chunk.pooled, pooled_expected.data);
    return {};
}

/// A packed weight in the file's order.
Result<std::vector<float>> unpacked(const std::shared_ptr<Device>& device, const Weight& w) {
    std::vector<std::byte> bytes(w.range.size);
    PUMICE_TRY(read_range(device, w.range, bytes));
    const auto element = [&](std::size_t i) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, bytes.data() + i * size_of(w.dtype), size_of(w.dtype));
        if (w.dtype == DType::f16) return f16_to_f32(static_cast<std::uint16_t>(bits));
        return std::bit_cast<float>(w.dtype == DType::bf16 ? bits << 16 : bits);
    };
    std::vector<float> values;
    if (w.layout != WeightLayout::packed) {
        for (std::uint32_t i = 0; i < w.n; ++i) values.push_back(element(i));
        return values;
    }
    for (std::uint32_t n = 0; n < w.n; ++n)
        for (std::uint32_t k = 0; k < w.k; ++k)
            for (std::uint32_t tap = 0; tap < w.taps(); ++tap)
                values.push_back(
                    element(((tap * w.k_padded() / 4 + k / 4) * std::size_t(w.n_padded()) + n) * 4 + k % 4));
    return values;
}

Status Cases::merged_weights(const std::string& adapter) const {
    const std::string prefix = "merged_" + adapter + ".";
    for (const std::string& file : suite.files("lora")) {
        if (!file.starts_with(prefix)) continue;
        const std::string tensor = file.substr(prefix.size(), file.size() - prefix.size() - 4);
        const auto it = model.unet_weights().loaded().find(tensor);
        if (it == model.unet_weights().loaded().end())
            return Error{Code::not_found, "'" + tensor + "' is not on the device"};
        PUMICE_ASSIGN(const auto expected, suite.npy("lora/" + file));
        PUMICE_ASSIGN(const auto values, unpacked(model.device(), it->second));
        suite.compare_network("lora/" + prefix + tensor, values, expected.data);
    }
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sd1/sd1_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    const Cases c{suite, *model, kernels};
    for (const char* input : {"x", "t", "ctx", "ids", "lora"}) suite.helper(std::string("lora/") + input);
    PUMICE_ASSIGN(const auto strengths, suite.json("lora/lora.json"));
    // Each set of adapters replaces the one before; the last two are the model's own again.
    for (const char* name : {"lora", "locon", "loha", "lokr", "dora", "full"}) {
        const std::string out = std::string("lora/out_") + name;
        const bool merged = suite.wanted(std::string("lora/merged_") + name);
        if (!suite.wanted(out) && !merged) continue;
        suite.run(out, [&]() -> Status {
            PUMICE_ASSIGN(AdapterSet set, c.set({{name, strengths[name]["strength"].get<float>()}}));
            model->set_adapters(std::move(set));
            PUMICE_TRY(c.unet_output("lora/", out));
            PUMICE_TRY(c.merged_weights(name));
            if (std::string(name) == "lora" && suite.wanted("lora/text_lora"))
                return c.text_output(0, "lora/ids.npy", "lora/text_lora");
            return {};
        });
    }
    if (suite.wanted("lora/out_two"))
        suite.run("lora/out_two", [&]() -> Status {
            PUMICE_ASSIGN(AdapterSet set, c.set({{"lora", 0.6f}, {"locon", -0.4f}}));
            model->set_adapters(std::move(set));
            return c.unet_output("lora/", "lora/out_two");
        });
    model->set_adapters({});
    if (suite.wanted("lora/out_base"))
        suite.run("lora/out_base", [&] { return c.unet_output("lora/", "lora/out_base"); });
    if (suite.wanted("lora/text_base"))
        suite.run("lora/text_base", [&] { return c.text_output(0, "lora/ids.npy", "lora/text_base"); });
    return {};
}

/// XL: the UNet under the names of the original, and both text encoders.
Status xl_cases(Suite& suite) {
    if (!suite.exists("lora/sdxl_x.npy")) return {};
    bool asked = false;
    for (const char* out : {"lora/sdxl_out_base", "lora/sdxl_out"}) asked |= suite.wanted(out);
    for (const char* file : {"x", "t", "ctx", "y", "text_l", "text_g", "pooled"})
        suite.helper(std::string("lora/sdxl_") + file);
    if (!asked) return {};
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const auto model, Model::load(device, kernels, suite.path("sdxl/sdxl_tiny.safetensors"),
                                                {.precision = suite.options().precision}));
    const Cases c{suite, *model, kernels};
    PUMICE_ASSIGN(AdapterSet set, c.set({{"sdxl_lora", 0.7f}}));
    PUMICE_TRY(c.unet_output("lora/sdxl_", "lora/sdxl_out_base"));
    model->set_adapters(std::move(set));
    PUMICE_TRY(c.unet_output("lora/sdxl_", "lora/sdxl_out"));
    PUMICE_TRY(c.text_output(0, "lora/ids.npy", "lora/sdxl_text_l"));
    return c.text_output(1, "lora/ids.npy", "lora/sdxl_text_g", "lora/sdxl_pooled");
}

}  // namespace

void lora_cases(Suite& suite) {
    if (suite.exists("lora/x.npy")) suite.run("lora", [&] { return all_cases(suite); });
    suite.run("lora/sdxl", [&] { return xl_cases(suite); });
}

}  // namespace pumice::goldens
