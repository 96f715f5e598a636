// Adapters merged into a model's weights and gone again.
#include <filesystem>

#include "base/hash.hpp"
#include "models/model.hpp"
#include "ops/operator_run.hpp"
#include "weights/file_builder.hpp"
#include "weights/gguf_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::filesystem::path kGoldens = std::filesystem::path(PUMICE_TEST_DATA) / "goldens";

// A matrix of each layout, a convolution, a norm, and one that no adapter changes.
const char* const kLinear = "input_blocks.1.1.transformer_blocks.0.attn1.to_v.weight";
const char* const kGeglu = "input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight";
const char* const kConv = "input_blocks.0.0.weight";
const char* const kNorm = "input_blocks.1.1.transformer_blocks.0.norm1.weight";
const char* const kOther = "input_blocks.1.0.in_layers.0.weight";

/// SHA-256 of each weight's bytes on the device, by name.
std::map<std::string, std::string> digests(Model& model) {
    WeightSet& weights = model.unet_weights();
    OperatorRun r(Precision::fp32);
    weights.linear(r.graph, kLinear);
    weights.geglu(r.graph, kGeglu);
    weights.conv(r.graph, kConv);
    weights.vector(r.graph, kNorm);
    weights.vector(r.graph, kOther);
    if (r.graph.error()) throw std::runtime_error(r.graph.error()->message);
    need(weights.flush());
    std::map<std::string, std::string> all;
    for (const auto& [name, weight] : weights.loaded()) {
        std::vector<std::byte> bytes(weight.range.size);
        need(read_range(model.device(), weight.range, bytes));
        all[name] = need(sha256(bytes));
    }
    return all;
}

AdapterSet set_of(Model& model, std::initializer_list<std::pair<const char*, float>> names) {
    std::vector<AdapterSet::Entry> entries;
    for (const auto& [name, strength] : names)
        entries.push_back(
            {need(Adapter::open(kGoldens / "lora" / (std::string(name) + ".safetensors"), model.adapter_targets())),
             strength, strength});
    return AdapterSet(std::move(entries));
}

}  // namespace

TEST_CASE("weights are the file's again, to the bit, when adapters go") {
    for (const Precision precision : {Precision::fp32, Precision::fp16}) {
        const auto kernels = std::shared_ptr<KernelCache>(&gpu().kernels, [](KernelCache*) {});
        const auto model = need(
            Model::load(gpu().device, kernels, kGoldens / "sd1" / "sd1_tiny.safetensors", {.precision = precision}));
        const auto before = digests(*model);
        const std::uint64_t bytes = model->unet_weights().device_bytes();
        REQUIRE(before.size() == 5);

        model->set_adapters(set_of(*model, {{"full", 0.5f}, {"lora", 1.0f}, {"locon", -0.4f}}));
        const auto merged = digests(*model);
        for (const char* changed : {kLinear, kGeglu, kConv, kNorm}) CHECK(merged.at(changed) != before.at(changed));
        CHECK(merged.at(kOther) == before.at(kOther));
        // In fp16 merged weights take the room of those without.
        if (precision == Precision::fp16) CHECK(model->unet_weights().device_bytes() == bytes);

        model->set_adapters(set_of(*model, {{"lora", 1.0f}}));
        const auto fewer = digests(*model);
        CHECK(fewer.at(kLinear) != merged.at(kLinear));
        CHECK(fewer.at(kNorm) == before.at(kNorm));
        CHECK(fewer.at(kConv) == before.at(kConv));

        model->set_adapters({});
        CHECK(digests(*model) == before);
        CHECK(model->unet_weights().device_bytes() == bytes);
    }
}

TEST_CASE("an adapter is merged into what a quantized weight stands for") {
    constexpr std::uint32_t kSide = 32;
    const std::string name = "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";
    // A Q8_0 block a row: a half, the scale 0.5, and 32 bytes.
    std::string blocks;
    std::vector<float> merged(kSide * kSide);
    const auto up = [](std::uint32_t row) { return static_cast<float>(row % 5) - 2; };
    const auto down = [](std::uint32_t k) { return static_cast<float>(k % 3); };
    for (std::uint32_t row = 0; row < kSide; ++row) {
        blocks += little(0x3800, 2);
        for (std::uint32_t k = 0; k < kSide; ++k) {
            const int value = static_cast<int>(row) - static_cast<int>(k);
            blocks += static_cast<char>(value);
            merged[row * kSide + k] = 0.5f * static_cast<float>(value) + 0.25f * up(row) * down(k);
        }
    }
    std::vector<float> ups, downs;
    for (std::uint32_t i = 0; i < kSide; ++i) ups.push_back(up(i)), downs.push_back(down(i));
    const std::string module = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q";
    TemporaryFolder folder;
    write_file(folder / "model.gguf",
               GgufBuilder().add("model.diffusion_model." + name, 8, {kSide, kSide}, blocks).build());
    write_file(folder / "lora.safetensors", FileBuilder()
                                                .add(module + ".lora_up.weight", "F32", {kSide, 1}, ups)
                                                .add(module + ".lora_down.weight", "F32", {1, kSide}, downs)
                                                .build());
    const WeightFile file = need(WeightFile::open(folder / "model.gguf"));
    const auto adapter = need(Adapter::open(folder / "lora.safetensors", AdapterTargets(file)));
    const auto kernels = std::shared_ptr<KernelCache>(&gpu().kernels, [](KernelCache*) {});
    WeightSet weights(gpu().device, kernels, file, "model.diffusion_model.");
    const auto on_device = [&](Weight& weight) {
        OperatorRun r(Precision::fp32);
        weight = weights.linear(r.graph, name);
        need(weights.flush());
        std::vector<std::byte> bytes(weight.range.size);
        need(read_range(gpu().device, weight.range, bytes));
        return bytes;
    };
    Weight weight;
    const auto before = on_device(weight);
    CHECK(weight.blocks == Blocks::q8_0);
    weights.set_adapters(std::make_shared<const AdapterSet>(std::vector<AdapterSet::Entry>{{adapter, 1, 0.25f}}), true);
    const HostWeight expected{kSide, kSide, 1, 1, DType::f32, false, merged};
    CHECK((on_device(weight) == expected.packed()));
    CHECK(weight.blocks == Blocks::none);
    weights.set_adapters(nullptr, true);
    CHECK((on_device(weight) == before));
    CHECK(weight.blocks == Blocks::q8_0);
}

