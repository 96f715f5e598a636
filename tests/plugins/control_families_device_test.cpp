// ControlNets for Stable Diffusion 2 and XL: heads of a width, linear projections, XL's vector.
#include <fstream>

#include "device_fixture.hpp"
#include "models/unet.hpp"
#include "ops/operator_run.hpp"
#include "ops/ops.hpp"
#include "plugins/plugin_control.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::string kGoldens = std::string(PUMICE_TEST_DATA) + "/goldens/";

std::string name_of(const char* list, std::size_t i) {
    return std::string(list) + std::to_string(i);
}

std::vector<float> identity(std::uint32_t n) {
    std::vector<float> values(std::size_t(n) * n, 0.0f);
    for (std::size_t i = 0; i < n; ++i) values[i * n + i] = 1;
    return values;
}

/// The half of a UNet that a ControlNet is trained from, whose zero convolutions hand out what they get: its residuals
/// are then the UNet's own hidden states. The hint counts for nothing.
std::string copy_of_encoder(const Model& model) {
    const UnetConfig& unet = model.config().unet;
    const std::string from(kUnetPrefix);
    FileBuilder file;
    for (const char* part : {"time_embed.", "label_emb.", "input_blocks.", "middle_block."})
        for (const StoredTensor& t : model.file().with_prefix(from + part))
            file.add("control_model." + t.name.substr(from.size()), to_string(t.dtype), t.shape,
                     std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
    const auto conv = [&](const std::string& name, std::uint64_t out, std::uint64_t in, std::uint64_t side,
                          const std::vector<float>& weights) {
        file.add(name + ".weight", "F32", {out, in, side, side}, weights);
        file.add(name + ".bias", "F32", {out}, std::vector<float>(out, 0.0f));
    };
    for (std::size_t i = 0; i < unet.input_blocks.size(); ++i) {
        const std::uint32_t c = unet.input_blocks[i].back().out_channels;
        conv(name_of("control_model.zero_convs.", i) + ".0", c, c, 1, identity(c));
    }
    const std::uint32_t middle = unet.middle_block.back().out_channels;
    conv("control_model.middle_block_out.0", middle, middle, 1, identity(middle));
    std::uint64_t in = 3;
    for (std::size_t i = 0; i <= 14; i += 2) {
        const std::uint64_t out = i == 14 ? unet.model_channels : 8;
        conv(name_of("control_model.input_hint_block.", i), out, in, 3, std::vector<float>(out * in * 9, 0.0f));
        in = out;
    }
    return file.build();
}

struct Case {
    const char* model;
    const char* family;
};

}  // namespace

TEST_CASE("a ControlNet for SD 2 and XL that is the UNet's own half gives its hidden states") {
    const Case cases[] = {{"sd2/sd2_tiny.safetensors", "sd2"}, {"sdxl/sdxl_tiny.safetensors", "sdxl"}};
    const TemporaryFolder folder;
    const std::shared_ptr<KernelCache> kernels{std::shared_ptr<KernelCache>(), &gpu().kernels};
    plugins::RegistryOptions registry_options;
    registry_options.builtin = PUMICE_BUILTIN_PLUGINS;
    const auto registry = need(plugins::Registry::create(std::move(registry_options)));
    for (const Case& c : cases) {
        INFO(c.family);
        const auto model = need(Model::load(gpu().device, kernels, kGoldens + c.model, {.precision = Precision::fp32}));
        const UnetConfig& config = model->config().unet;
        const std::string file = (folder / (std::string(c.family) + ".safetensors")).string();
        std::ofstream(file, std::ios::binary) << copy_of_encoder(*model);
        const plugins::DeviceServices services{
            .device = gpu().device, .kernels = kernels, .precision = Precision::fp32};
        const auto control = need(
            plugins::open_control(*registry, "", {.path = file, .family = c.family, .unet = config}, services, {}));

        for (const std::string block : {"input_blocks.1", "middle_block"}) {
            INFO(block);
            OperatorRun r(Precision::fp32);
            Graph& g = r.graph;
            Random random(7);
            const Shape latent{2, 8, 8, 4}, context{2, 1, 77, config.context_channels};
            UnetInputs in{.x = r.input(latent, DType::f32, random.values(latent.elements())),
                          .timesteps = r.input({1, 1, 1, 2}, DType::f32, std::vector<float>{17, 801}),
                          .context = r.input(context, DType::f32, random.values(context.elements())),
                          .head_channels = config.head_channels};
            if (config.vector_channels > 0) {
                const Shape vector{2, 1, 1, config.vector_channels};
                in.vector = r.input(vector, DType::f32, random.values(vector.elements()));
            }
            const Shape picture{1, 64, 64, 4};
            const auto prepared =
                control->prepare(g, r.input(picture, DType::f32, std::vector<float>(picture.elements(), 0.5f)));
            REQUIRE(prepared.size() == 1);
            // One picture's, for both.
            const std::vector<float> ones(4, 1.0f);
            const TensorId kept =
                ops::scale_by(g, prepared[0], r.input({1, 1, 1, 4}, DType::f32, ones), 0, DType::f32, 2);
            const auto residuals = control->step(g, {.x = in.x,
                                                     .timesteps = in.timesteps,
                                                     .context = in.context,
                                                     .vector = in.vector,
                                                     .prepared = {&kept, 1}});
            REQUIRE(residuals.size() == config.input_blocks.size() + 1);
            TensorId hidden{};
            unet(g, model->unet_weights(), in, config.heads, [&](const std::string& name, TensorId id) {
                if (name == block) hidden = id;
            });
            const auto found = std::find_if(residuals.begin(), residuals.end(),
                                            [&](const ControlResidual& each) { return each.block == block; });
            REQUIRE(found != residuals.end());
            need(model->unet_weights().flush());
            need(control->flush());
            // Both at once: the residual's channels, then the UNet's.
            const TensorId both = ops::concat(g, found->tensor, hidden);
            const std::vector<float> values = r.run(both);
            const std::uint32_t channels = g.shape(hidden).c;
            double largest = 0, scale = 0;
            for (std::size_t i = 0; i < values.size(); ++i) {
                if (i % (2 * channels) >= channels) continue;
                largest = std::max(largest, std::fabs(double(values[i]) - double(values[i + channels])));
                scale = std::max(scale, std::fabs(double(values[i + channels])));
            }
            CHECK(scale > 0.01);
            CHECK(largest < 1e-5 * scale);
        }
    }
}

TEST_CASE("a ControlNet for another family is refused") {
    const TemporaryFolder folder;
    const std::shared_ptr<KernelCache> kernels{std::shared_ptr<KernelCache>(), &gpu().kernels};
    plugins::RegistryOptions registry_options;
    registry_options.builtin = PUMICE_BUILTIN_PLUGINS;
    const auto registry = need(plugins::Registry::create(std::move(registry_options)));
    const auto xl = need(Model::load(gpu().device, kernels, kGoldens + "sdxl/sdxl_tiny.safetensors", {}));
    const auto sd2 = need(Model::load(gpu().device, kernels, kGoldens + "sd2/sd2_tiny.safetensors", {}));
    const std::string file = (folder / "xl.safetensors").string();
    std::ofstream(file, std::ios::binary) << copy_of_encoder(*xl);
    const auto refused =
        plugins::open_control(*registry, "", {.path = file, .family = "sd2", .unet = sd2->config().unet},
                              {.device = gpu().device, .kernels = kernels, .precision = Precision::fp32}, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().message.find("is for another family of models") != std::string::npos);
}
