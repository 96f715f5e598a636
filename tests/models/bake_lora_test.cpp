#include "models/bake_lora.hpp"

#include <algorithm>
#include <cmath>

#include "catch.hpp"
#include "models/convert.hpp"
#include "npy.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::filesystem::path kGoldens = std::filesystem::path(PUMICE_TEST_DATA) / "goldens";

WeightFile opened(const std::filesystem::path& path) {
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

/// Numbers from -1 to 1 that follow no pattern of rows or columns.
std::vector<float> numbers(std::size_t n, std::uint32_t seed) {
    std::vector<float> values(n);
    std::uint32_t state = seed;
    for (float& v : values) {
        state = state * 1664525u + 1013904223u;
        v = static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1);
    }
    return values;
}

/// `model` with an adapter in it, as a file of fp32.
WeightFile baked(const WeightFile& model, const std::filesystem::path& lora, float strength,
                 const std::filesystem::path& to) {
    auto adapter = Adapter::open(lora, AdapterTargets(model));
    if (!adapter) FAIL(adapter.error().message);
    auto output = output_model(model, {});
    REQUIRE(output);
    const AdapterSet set({{*adapter, strength, strength}});
    CHECK(bake_adapters(*output, std::make_shared<const AdapterSet>(set)) > 0);
    set_types(*output, StoredType::f32, OutputFormat::safetensors);
    const auto written = write_model(*output, to, OutputFormat::safetensors, Existing::refuse, model, {});
    if (!written) FAIL(written.error().message);
    return opened(to);
}

std::vector<float> values(const WeightFile& file, const std::string& name) {
    const auto t = file.tensor(name);
    if (!t) FAIL(t.error().message);
    std::vector<float> all((*t)->elements());
    read_f32(**t, 0, all);
    return all;
}

struct Extracted {
    WeightFile file;
    double captured;
};
Extracted extracted(const WeightFile& tuned, const WeightFile& base, const ExtractOptions& options,
                    const std::filesystem::path& to) {
    auto lora = extract_lora(tuned, base, options);
    if (!lora) FAIL(lora.error().message);
    const auto written = write_model(lora->model, to, OutputFormat::safetensors, Existing::refuse, tuned, {});
    if (!written) FAIL(written.error().message);
    return {opened(to), lora->share->captured / lora->share->squares};
}

/// The largest difference in `name` over the largest change from base to a.
double error_of(const WeightFile& a, const WeightFile& b, const WeightFile& base, const std::string& name) {
    const std::vector<float> x = values(a, name), y = values(b, name), z = values(base, name);
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        worst = std::max(worst, std::abs(double(x[i]) - double(y[i])));
        largest = std::max(largest, std::abs(double(x[i]) - double(z[i])));
    }
    return largest > 0 ? worst / largest : worst;
}

}  // namespace

TEST_CASE("what is baked in is what the reference merges", "[models]") {
    const TemporaryFolder folder;
    const WeightFile tiny = opened(kGoldens / "sd1" / "sd1_tiny.safetensors");
    const auto check = [&](const std::string& name, const std::string& tensor) {
        const WeightFile file = baked(tiny, kGoldens / "lora" / (name + ".safetensors"), 0.7f, folder / name);
        const auto expected = read_npy<float>(kGoldens / "lora" / fmt::format("merged_{}.{}.npy", name, tensor));
        REQUIRE(expected);
        const std::vector<float> found = values(file, "model.diffusion_model." + tensor);
        REQUIRE(found.size() == expected->data.size());
        double worst = 0;
        for (std::size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(double(found[i]) - double(expected->data[i])));
        INFO(name);
        CHECK(worst < 2e-6);  // fp32's rounding of values up to 2, in another order of the sums
    };
    check("dora", "input_blocks.1.1.proj_in.weight");
    check("loha", "input_blocks.0.0.weight");
    check("lokr", "input_blocks.0.0.weight");
}

TEST_CASE("an extracted LoRA gives back a change of low rank", "[models]") {
    const TemporaryFolder folder;
    struct Case {
        const char *model, *module, *tensor;
        std::vector<std::uint64_t> up, down;
    };
    const Case cases[] = {{"sd1",
                           "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                           "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
                           {32, 3},
                           {3, 32}},
                          {"sd1",
                           "lora_unet_down_blocks_0_resnets_0_conv1",
                           "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
                           {32, 3, 1, 1},
                           {3, 32, 3, 3}},
                          {"sdxl",
                           "lora_te2_text_model_encoder_layers_1_self_attn_k_proj",
                           "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight",
                           {16, 3},
                           {3, 16}},
                          {"sdxl",
                           "lora_unet_middle_block_1_proj_in",
                           "model.diffusion_model.middle_block.1.proj_in.weight",
                           {64, 3},
                           {3, 64}}};
    for (const Case& c : cases) {
        INFO(c.module);
        const auto path = [&](const char* what) { return folder / fmt::format("{}.{}", c.module, what); };
        const WeightFile base = opened(kGoldens / c.model / fmt::format("{}_tiny.safetensors", c.model));
        std::size_t up = 1, down = 1;
        for (const std::uint64_t n : c.up) up *= n;
        for (const std::uint64_t n : c.down) down *= n;
        write_file(path("lora"), FileBuilder()
                                     .add(std::string(c.module) + ".lora_up.weight", "F32", c.up, numbers(up, 1))
                                     .add(std::string(c.module) + ".lora_down.weight", "F32", c.down, numbers(down, 2))
                                     .build());
        const WeightFile tuned = baked(base, path("lora"), 0.5f, path("tuned"));
        const Extracted lora = extracted(tuned, base, {.rank = 3, .conv_rank = 0}, path("again"));
        CHECK(lora.captured > 1 - 1e-9);
        // That module alone, under the same name.
        CHECK(lora.file.tensors().size() == 3);
        CHECK(lora.file.find(std::string(c.module) + ".alpha"));
        CHECK(lora.file.find(std::string(c.module) + ".lora_up.weight")->shape == c.up);
        CHECK(lora.file.find(std::string(c.module) + ".lora_down.weight")->shape == c.down);
        const WeightFile again = baked(base, path("again"), 1, path("back"));
        const double error = error_of(tuned, again, base, c.tensor);
        CHECK(error < 1e-6);  // of the largest change: fp32's rounding
        // A lower rank has less of it.
        CHECK(extracted(tuned, base, {.rank = 1, .conv_rank = 0}, path("less")).captured < 0.9);
    }
}

TEST_CASE("large matrices are decomposed by their range", "[models]") {
    const TemporaryFolder folder;
    const std::string name = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";
    constexpr std::size_t n = 512, k = 640, rank = 6;
    const std::vector<float> base = numbers(n * k, 1), left = numbers(n * rank, 2), right = numbers(rank * k, 3),
                             noise = numbers(n * k, 4);
    std::vector<float> tuned(n * k);
    double squares = 0, noise_squares = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < k; ++j) {
            double change = 0;
            for (std::size_t r = 0; r < rank; ++r) change += double(left[i * rank + r]) * double(right[r * k + j]);
            const double rest = 1e-3 * double(noise[i * k + j]);
            squares += (change + rest) * (change + rest);
            noise_squares += rest * rest;
            tuned[i * k + j] = static_cast<float>(double(base[i * k + j]) + change + rest);
        }
    write_file(folder / "base", FileBuilder().add(name, "F32", {n, k}, base).build());
    write_file(folder / "tuned", FileBuilder().add(name, "F32", {n, k}, tuned).build());
    const Extracted lora =
        extracted(opened(folder / "tuned"), opened(folder / "base"), {.rank = rank, .conv_rank = 0}, folder / "lora");
    // The best of this rank has at least what the noise has not.
    CHECK(1 - lora.captured <= 1.001 * noise_squares / squares);
    CHECK(1 - lora.captured > 0.5 * noise_squares / squares);
}

TEST_CASE("what cannot be extracted is said", "[models]") {
    const TemporaryFolder folder;
    const std::string name = "model.diffusion_model.input_blocks.1.1.proj_in.weight";
    write_file(folder / "a", FileBuilder().add(name, "F32", {2, 2}, std::vector<float>(4, 1)).build());
    write_file(folder / "b", FileBuilder().add(name, "F32", {4, 2}, std::vector<float>(8, 1)).build());
    const WeightFile a = opened(folder / "a"), b = opened(folder / "b");
    const auto same = extract_lora(a, a, {});
    REQUIRE_FALSE(same);
    CHECK(same.error().code == Code::unsupported);
    CHECK(same.error().message.find("nothing to extract") != std::string::npos);
    const auto other = extract_lora(a, b, {});
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Code::bad_format);
    CHECK(other.error().message.find("has shape [4, 2], but [2, 2]") != std::string::npos);
    CHECK_FALSE(extract_lora(a, b, {.rank = 0, .conv_rank = 0}));
}
