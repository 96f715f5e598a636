#include "models/convert.hpp"

#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "models/configs.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_writer.hpp"
#include "weights/diffusers_names.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::TemporaryFolder;

namespace {

const std::string kTiny = PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors";

WeightFile opened(const std::filesystem::path& path) {
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

WeightFile converted(const WeightFile& from, const std::filesystem::path& path, const TensorChoice& choice = {},
                     std::optional<StoredType> type = {}) {
    auto model = output_model(from, choice);
    if (!model) FAIL(model.error().message);
    const OutputFormat format = output_format_of(path);
    set_types(*model, type, format);
    const auto notes = write_model(*model, path, format, Existing::refuse, from, {});
    if (!notes) FAIL(notes.error().message);
    return opened(path);
}

/// Every tensor that the geometry asks for is there, of the same bytes and shape.
void check_same_model(const WeightFile& file, const WeightFile& like) {
    const auto config = model_config(file), expected = model_config(like);
    if (!config) FAIL(config.error().message);
    REQUIRE(expected);
    CHECK(*config == *expected);
    for (const TensorSpec& spec : expected_tensors(*expected)) {
        const StoredTensor *a = file.find(spec.name), *b = like.find(spec.name);
        INFO(spec.name);
        REQUIRE(a);
        REQUIRE(b);
        CHECK(a->dtype == b->dtype);
        CHECK(a->shape == b->shape);
        CHECK(std::equal(a->data.begin(), a->data.end(), b->data.begin(), b->data.end()));
    }
}

}  // namespace

TEST_CASE("a model goes through every format and comes back", "[models]") {
    const TemporaryFolder folder;
    const WeightFile tiny = opened(kTiny);
    const WeightFile checkpoint = converted(tiny, folder / "a.ckpt");
    CHECK(checkpoint.format() == FileFormat::torch_zip);
    check_same_model(checkpoint, tiny);
    const WeightFile gguf = converted(checkpoint, folder / "b.gguf");
    CHECK(gguf.format() == FileFormat::gguf);
    check_same_model(gguf, tiny);
    const WeightFile diffusers = converted(gguf, folder / "c");
    CHECK(diffusers.format() == FileFormat::diffusers);
    CHECK(diffusers.metadata().at("tiny_config") == tiny.metadata().at("tiny_config"));
    const WeightFile back = converted(diffusers, folder / "d.safetensors");
    CHECK(back.format() == FileFormat::safetensors);
    check_same_model(back, tiny);
    // Written again the same way, a file has the same bytes.
    converted(back, folder / "e.ckpt");
    converted(back, folder / "f.ckpt");
    const auto bytes = [](const std::filesystem::path& path) {
        std::ifstream in(path, std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(in), {}};
    };
    CHECK(bytes(folder / "e.ckpt") == bytes(folder / "f.ckpt"));
}

TEST_CASE("models of every family go through a folder and come back", "[models]") {
    const TemporaryFolder folder;
    for (const std::string name : {"sd2", "sdxl"}) {
        const WeightFile tiny = opened(fmt::format("{}/goldens/{}/{}_tiny.safetensors", PUMICE_TEST_DATA, name, name));
        const std::filesystem::path path = folder / name;
        const WeightFile there = converted(tiny, path);
        CHECK(there.format() == FileFormat::diffusers);
        const WeightFile back = converted(there, path.string() + ".safetensors");
        check_same_model(back, tiny);
        // What the geometry does not ask for comes back as well: SD 2's projection, both encoders' logit_scale.
        for (const char* part : {"cond_stage_model.", "conditioner."})
            for (const StoredTensor& t : tiny.with_prefix(part)) {
                const StoredTensor* const b = back.find(t.name);
                INFO(t.name);
                REQUIRE(b);
                CHECK(b->shape == t.shape);
                CHECK(std::equal(t.data.begin(), t.data.end(), b->data.begin(), b->data.end()));
            }
    }
    const auto json = [&](const char* file) {
        std::ifstream in(folder / file);
        return nlohmann::json::parse(in);
    };
    // SD 2 takes the state before the last layer: its folder does not count that.
    CHECK(json("sd2/text_encoder/config.json")["num_hidden_layers"] == 2);
    CHECK(json("sd2/text_encoder/config.json")["hidden_act"] == "gelu");
    CHECK(json("sd2/tokenizer/special_tokens_map.json")["pad_token"] == "!");
    CHECK(json("sd2/unet/config.json")["attention_head_dim"] == nlohmann::json({2, 4}));
    CHECK(json("sdxl/model_index.json")["_class_name"] == "StableDiffusionXLPipeline");
    CHECK(json("sdxl/model_index.json")["text_encoder_2"][1] == "CLIPTextModelWithProjection");
    CHECK(json("sdxl/text_encoder_2/config.json")["projection_dim"] == 16);
    CHECK(json("sdxl/unet/config.json")["transformer_layers_per_block"] == nlohmann::json({1, 1, 2}));
    CHECK(json("sdxl/unet/config.json")["projection_class_embeddings_input_dim"] == 1552);
    CHECK(json("sdxl/tokenizer/special_tokens_map.json")["pad_token"] == "<|endoftext|>");
}

TEST_CASE("a text encoder of SD 2 without the layer that nobody takes", "[models]") {
    const TemporaryFolder folder;
    const WeightFile tiny = opened(PUMICE_TEST_DATA "/goldens/sd2/sd2_tiny.safetensors");
    converted(tiny, folder / "whole");
    // As the published folders are.
    const auto weights = folder / "whole/text_encoder/model.safetensors";
    const WeightFile whole = opened(weights);
    OutputModel less;
    for (const StoredTensor& t : whole.tensors())
        if (!t.name.starts_with("text_model.encoder.layers.2.")) less.tensors.push_back(copied(whole, t));
    CHECK(less.tensors.size() < whole.tensors().size());
    REQUIRE(write_model(less, weights, OutputFormat::safetensors, Existing::replace, whole, {}));
    const auto check = [](const WeightFile& file) {
        const auto config = model_config(file);
        if (!config) FAIL(config.error().message);
        CHECK(config->text[0].layers == 2);
        CHECK(config->text[0].output == TextOutput::last_normed);
    };
    const WeightFile published = opened(folder / "whole");
    check(published);
    // Both ways.
    const WeightFile single = converted(published, folder / "single.safetensors");
    check(single);
    check(converted(single, folder / "again"));
}

TEST_CASE("the names of a folder of diffusers are those of Stable Diffusion 1.5's", "[models]") {
    const auto config = config_from_json("{}", "test");
    REQUIRE(config);
    std::vector<StoredTensor> single;
    for (const TensorSpec& spec : expected_tensors(*config))
        single.push_back({spec.name, StoredType::f16, spec.shape, {}});
    const DiffusersLayout layout = diffusers_layout(single);
    CHECK(layout.resnets == 2);
    CHECK(layout.levels == 4);
    std::set<std::string> all;
    for (const ModelPart part : {ModelPart::unet, ModelPart::vae, ModelPart::text}) {
        std::vector<StoredTensor> renamed;
        std::set<std::string> expected;
        for (const StoredTensor& t : single) {
            if (!t.name.starts_with(part_prefix(part))) continue;
            expected.insert(t.name);
            StoredTensor there = t;
            there.name = diffusers_name(std::string_view(t.name).substr(part_prefix(part).size()), part, layout);
            all.insert(there.name);
            renamed.push_back(std::move(there));
        }
        std::set<std::string> back;
        for (const StoredTensor& t : as_single_file(renamed, part)) back.insert(t.name);
        CHECK(back == expected);
    }
    // From the published runwayml/stable-diffusion-v1-5.
    for (const char* name : {"conv_in.weight",
                             "time_embedding.linear_1.bias",
                             "down_blocks.0.resnets.1.conv2.weight",
                             "down_blocks.2.downsamplers.0.conv.weight",
                             "down_blocks.3.resnets.1.time_emb_proj.bias",
                             "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.bias",
                             "mid_block.resnets.1.norm2.bias",
                             "up_blocks.0.upsamplers.0.conv.bias",
                             "up_blocks.1.resnets.2.conv_shortcut.weight",
                             "up_blocks.3.attentions.2.proj_out.weight",
                             "conv_norm_out.weight",
                             "conv_out.bias",
                             "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
                             "encoder.mid_block.attentions.0.to_q.weight",
                             "decoder.up_blocks.0.upsamplers.0.conv.weight",
                             "decoder.up_blocks.2.resnets.0.conv_shortcut.bias",
                             "decoder.mid_block.attentions.0.group_norm.weight",
                             "decoder.mid_block.attentions.0.to_out.0.weight",
                             "decoder.conv_norm_out.bias",
                             "quant_conv.weight",
                             "text_model.encoder.layers.11.self_attn.out_proj.weight"}) {
        INFO(name);
        CHECK(all.count(name) == 1);
    }
}

TEST_CASE("pruning takes away what only training needs; averaged weights can take the UNet's place", "[models]") {
    const TemporaryFolder folder;
    using Floats = std::vector<float>;
    test::write_file(folder / "full",
                     FileBuilder()
                         .add("model.diffusion_model.out.2.bias", "F32", {1}, Floats{1})
                         .add("model.diffusion_model.out.2.weight", "F32", {1}, Floats{2})
                         .add("model_ema.diffusion_modelout2bias", "F32", {1}, Floats{3})
                         .add("model_ema.decay", "F32", {}, Floats{0.999f})
                         .add("betas", "F32", {1}, Floats{4})
                         .add("sqrt_alphas_cumprod", "F32", {1}, Floats{5})
                         .add("first_stage_model.loss.logvar", "F32", {1}, Floats{6})
                         .add("first_stage_model.quant_conv.bias", "F32", {1}, Floats{7})
                         .add("cond_stage_model.transformer.text_model.final_layer_norm.bias", "F32", {1}, Floats{8})
                         .build());
    const WeightFile full = opened(folder / "full");
    const WeightFile pruned = converted(full, folder / "pruned.safetensors", {true, false});
    REQUIRE(pruned.tensors().size() == 4);
    const auto value = [](const WeightFile& file, const char* name) {
        float v = 0;
        read_f32(**file.tensor(name), 0, {&v, 1});
        return v;
    };
    CHECK(value(pruned, "model.diffusion_model.out.2.bias") == 1);
    const WeightFile averaged = converted(full, folder / "averaged.safetensors", {true, true});
    CHECK(value(averaged, "model.diffusion_model.out.2.bias") == 3);
    CHECK(value(averaged, "model.diffusion_model.out.2.weight") == 2);
    const auto none = output_model(pruned, {false, true});
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::not_found);
}

TEST_CASE("the types of a model's tensors", "[models]") {
    const auto zeros = [](std::uint64_t, std::span<float> to) -> Status {
        std::fill(to.begin(), to.end(), 0.0f);
        return {};
    };
    const std::string unet = "model.diffusion_model.";
    const auto types = [&](const char* type, OutputFormat format) {
        OutputModel model;
        model.tensors = {made(unet + "x.to_q.weight", StoredType::f32, {8, 320}, zeros),
                         made(unet + "x.to_k.weight", StoredType::f32, {8, 768}, zeros),
                         made(unet + "y.weight", StoredType::f32, {8, 77}, zeros),
                         made(unet + "time_embed.0.weight", StoredType::f32, {8, 256}, zeros),
                         made(unet + "conv.weight", StoredType::f32, {8, 4, 3, 3}, zeros),
                         made(unet + "norm.weight", StoredType::f32, {256}, zeros),
                         made(unet + "from_blocks.weight", StoredType::q8_0, {8, 32}, zeros),
                         {"position_ids", StoredType::i64, {1, 77}, {}, {}}};
        set_types(model, type ? weight_type(type) : std::nullopt, format);
        std::string all;
        for (const OutputTensor& t : model.tensors) all += std::string(all.empty() ? "" : " ") + to_string(t.dtype);
        return all;
    };
    using F = OutputFormat;
    CHECK(types("bf16", F::safetensors) == "BF16 BF16 BF16 BF16 BF16 BF16 BF16 I64");
    CHECK(types("q8_0", F::gguf) == "Q8_0 Q8_0 F16 F16 F16 F16 Q8_0 I64");
    CHECK(types("q4_k", F::gguf) == "Q5_0 Q4_K F16 F16 F16 F16 Q5_0 I64");
    CHECK(types("q2_k", F::gguf) == "Q4_0 Q2_K F16 F16 F16 F16 Q4_0 I64");
    CHECK(types("fp8_e4m3", F::checkpoint) == "F8_E4M3 F8_E4M3 F8_E4M3 F16 F8_E4M3 F16 F8_E4M3 I64");
    CHECK(types(nullptr, F::diffusers) == "F32 F32 F32 F32 F32 F32 F16 I64");
    CHECK(types(nullptr, F::gguf) == "F32 F32 F32 F32 F32 F32 Q8_0 I64");
}

TEST_CASE("the tokenizer of a folder is the one built in", "[models]") {
    const TemporaryFolder folder;
    REQUIRE(write_tokenizer_files((folder / "x").parent_path(), Padding::end));
    const auto written = Tokenizer::load((folder / "x").parent_path());
    if (!written) FAIL(written.error().message);
    const auto embedded = Tokenizer::embedded();
    REQUIRE(embedded);
    for (const char* text : {"a lighthouse at sunset", "Ünïcode — 東京, don't!", "1girl, (masterpiece)  \\o/"}) {
        const auto a = written->encode(text), b = embedded->encode(text);
        REQUIRE(a);
        REQUIRE(b);
        CHECK(*a == *b);
        CHECK(!a->empty());
    }
}

TEST_CASE("what is no model becomes no folder", "[models]") {
    const TemporaryFolder folder;
    test::write_file(folder / "in", FileBuilder().add("lora_x.weight", "F32", {1}, std::vector<float>{1}).build());
    const WeightFile in = opened(folder / "in");
    auto model = output_model(in, {});
    REQUIRE(model);
    const auto refused = write_model(*model, folder / "out", OutputFormat::diffusers, Existing::refuse, in, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().message.find("holds LoRA; only Stable Diffusion 1, 2 and XL are written as a folder") !=
          std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
}
