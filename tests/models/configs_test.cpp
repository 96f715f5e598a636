#include "models/configs.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>

#include <fmt/format.h>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::TemporaryFolder;

namespace {

const std::string kTiny = PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors";

/// A checkpoint of the given tensors whose data is a hole in the file: of any size, at no cost.
WeightFile sparse_file(const TemporaryFolder& folder, const std::vector<TensorSpec>& specs,
                       const std::string& metadata = "") {
    std::string header = metadata.empty() ? "{" : "{\"__metadata__\":" + metadata;
    std::uint64_t end = 0;
    for (const TensorSpec& t : specs) {
        std::uint64_t bytes = 2;
        for (const std::uint64_t n : t.shape) bytes *= n;
        header += fmt::format("{}\"{}\":{{\"dtype\":\"F16\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                              header.size() > 1 ? "," : "", t.name, fmt::join(t.shape, ","), end, end + bytes);
        end += bytes;
    }
    header += "}";
    const auto path = folder / "m.safetensors";
    test::write_file(path, test::raw_file(header, ""));
    std::filesystem::resize_file(path, 8 + header.size() + end);
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

ModelConfig from_json(const std::string& json) {
    auto config = config_from_json(json, "test");
    if (!config) FAIL(config.error().message);
    return *std::move(config);
}

Error refused(const TemporaryFolder& folder, const std::vector<TensorSpec>& specs, const std::string& metadata = "") {
    const auto config = model_config(sparse_file(folder, specs, metadata));
    REQUIRE_FALSE(config);
    CHECK(config.error().message.find((folder / "m.safetensors").string() + ": ") == 0);
    CHECK(config.error().message.find('\n') == std::string::npos);
    return config.error();
}

std::string quoted(const std::string& json) {
    std::string text = "\"";
    for (const char c : json) text += c == '"' ? std::string("\\\"") : std::string(1, c);
    return text + "\"";
}

TensorSpec& named(std::vector<TensorSpec>& specs, const std::string& name) {
    const auto at = std::find_if(specs.begin(), specs.end(), [&](const TensorSpec& t) { return t.name == name; });
    if (at == specs.end()) FAIL(name);
    return *at;
}

// Small enough that files of it are quick to make, with all that a full one has.
const std::string kSmall = R"({"unet":{"model_channels":64,"channel_mult":[1,2],"num_res_blocks":1,
    "attention_resolutions":[1,2],"context_dim":64},"vae":{"ch":32,"ch_mult":[1,2],"num_res_blocks":1},
    "text":{"width":64,"layers":2,"intermediate":128}})";

}  // namespace

TEST_CASE("the geometry of the tiny SD 1 checkpoint", "[models]") {
    const auto file = WeightFile::open(kTiny);
    REQUIRE(file);
    CHECK(recognize(*file) == Family::sd1);
    const auto config = model_config(*file);
    if (!config) FAIL(config.error().message);
    const UnetConfig& unet = config->unet;
    CHECK(unet.model_channels == 32);
    CHECK(unet.time_channels == 128);
    CHECK(unet.context_channels == 16);
    CHECK(unet.heads == 8);
    CHECK(unet.levels() == 2);
    REQUIRE(unet.input_blocks.size() == 6);
    CHECK(unet.input_blocks[1] == UnetBlock{{LayerKind::res, "input_blocks.1.0", 32, 32},
                                            {LayerKind::transformer, "input_blocks.1.1", 32, 32, 1, 128}});
    CHECK(unet.input_blocks[5] == UnetBlock{{LayerKind::res, "input_blocks.5.0", 32, 64}});  // no attention at 1/4
    REQUIRE(unet.output_blocks.size() == 6);
    CHECK(unet.output_blocks[1] ==
          UnetBlock{{LayerKind::res, "output_blocks.1.0", 96, 64}, {LayerKind::upsample, "output_blocks.1.1", 64, 64}});
    CHECK(unet.output_blocks[3][2] == UnetLayer{LayerKind::upsample, "output_blocks.3.2", 32, 32});
    CHECK(config->vae.channels == 32);
    CHECK(config->vae.mid_channels == 64);
    CHECK(config->vae.factor() == 8);
    CHECK(config->vae.scaling_factor == 0.18215);
    CHECK(config->vae.down[3].blocks == std::vector<VaeBlock>{{32, 64}});
    CHECK(config->vae.up[3].blocks.size() == 2);
    CHECK(config->text[0].width == 16);
    CHECK(config->text[0].layers == 3);
    CHECK(config->text[0].heads == 2);
    CHECK(config->text[0].ff_channels == 64);
    CHECK_FALSE(config->v_prediction);

    // The hyperparameters that the file was made from lead to the same geometry.
    CHECK(*config == from_json(file->metadata().at("tiny_config")));
    CHECK(describe(config->unet) ==
          "UNet: 32-32-64 channels, 6 input and 6 output blocks, 2 of the input blocks with "
          "attention, 8 heads, context 16");
    CHECK(describe(config->vae) ==
          "VAE: 32-32-32-64 channels, 1 block a level, latent of 4 channels, 1/8 of the side, scaling factor 0.18215");
    CHECK(describe(config->text[0]) == "Text encoder: 16 wide, 3 layers, 2 heads, 49408 tokens, 77 positions");
}

TEST_CASE("the full SD 1.5 geometry has its known size", "[models]") {
    const ModelConfig config = from_json("{}");
    const auto parameters = [](const std::vector<TensorSpec>& specs) {
        std::uint64_t sum = 0;
        for (const TensorSpec& t : specs) {
            std::uint64_t n = 1;
            for (const std::uint64_t s : t.shape) n *= s;
            sum += n;
        }
        return sum;
    };
    // Rombach et al.'s v1 models: 860 M (UNet), 84 M (autoencoder), 123 M (CLIP ViT-L/14's text half).
    CHECK(expected_tensors(config.unet).size() == 686);
    CHECK(parameters(expected_tensors(config.unet)) == 859'520'964);
    CHECK(expected_tensors(config.vae).size() == 248);
    CHECK(parameters(expected_tensors(config.vae)) == 83'653'863);
    CHECK(expected_tensors(config.text[0]).size() == 196);
    CHECK(parameters(expected_tensors(config.text[0])) == 123'060'480);

    const TemporaryFolder folder;
    const auto inferred = model_config(sparse_file(folder, expected_tensors(config)));
    if (!inferred) FAIL(inferred.error().message);
    CHECK(*inferred == config);
    CHECK(inferred->text[0].heads == 12);
    CHECK(inferred->unet.output_blocks.size() == 12);
}

TEST_CASE("geometry is inferred for any levels, depths and places of attention", "[models]") {
    const TemporaryFolder folder;
    const auto text = R"("text":{"width":64,"layers":1})";
    for (const char* mult : {"[1]", "[1,2]", "[1,1,3]", "[1,2,2,4,4]"})
        for (const int blocks : {1, 2, 3})
            for (const char* attention : {"[1]", "[2]", "[1,2,4,8]", "[4,8]"}) {
                const auto json = fmt::format(
                    R"({{"unet":{{"model_channels":32,"channel_mult":{},"num_res_blocks":{},"attention_resolutions":{},
                    "transformer_depth":{},"context_dim":64}},"vae":{{"ch":32,"ch_mult":{},"num_res_blocks":{}}},{}}})",
                    mult, blocks, attention, blocks, mult, blocks, text);
                INFO(json);
                const ModelConfig config = from_json(json);
                const auto inferred = model_config(sparse_file(folder, expected_tensors(config)));
                if (!inferred) FAIL(inferred.error().message);
                CHECK(*inferred == config);
            }
}

TEST_CASE("each missing tensor is named", "[models]") {
    const TemporaryFolder folder;
    const std::vector<TensorSpec> all = expected_tensors(from_json(kSmall));
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<TensorSpec> specs = all;
        specs.erase(specs.begin() + static_cast<std::ptrdiff_t>(i));
        const Error error = refused(folder, specs);
        CHECK(error.code == Code::bad_format);
        INFO(error.message);
        CHECK(error.message.find("'" + all[i].name + "'") != std::string::npos);
        CHECK(error.message.find("missing") != std::string::npos);
    }
}

TEST_CASE("each misshapen tensor is named with both shapes", "[models]") {
    const TemporaryFolder folder;
    const std::vector<TensorSpec> all = expected_tensors(from_json(kSmall));
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<TensorSpec> specs = all;
        // The last axis: of a vector its length, else input channels or the kernel's width.
        specs[i].shape.back() += 32;
        const Error error = refused(folder, specs);
        INFO(error.message);
        CHECK(error.code == Code::bad_format);
        CHECK(error.message.find(fmt::format("tensor '{}' has shape {}", all[i].name, shape_string(specs[i].shape))) !=
              std::string::npos);
        CHECK(error.message.find(shape_string(all[i].shape) + " is expected") != std::string::npos);
    }
    for (const auto& shape : {std::vector<std::uint64_t>{}, {64}, {0, 64}, {64, 64, 1}, {1u << 22, 64}}) {
        std::vector<TensorSpec> specs = all;
        named(specs, "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight").shape = shape;
        CHECK(refused(folder, specs).message.find("attn1.to_q.weight' has shape " + shape_string(shape)) !=
              std::string::npos);
    }
    std::vector<TensorSpec> specs = all;
    named(specs, "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight").shape = {1u << 22, 64};
    CHECK(refused(folder, specs).message.find("token_embedding.weight' has shape [4194304, 64]") != std::string::npos);
}

TEST_CASE("whole blocks that are missing are named", "[models]") {
    const TemporaryFolder folder;
    const std::vector<TensorSpec> all = expected_tensors(from_json(kSmall));
    const auto without = [&](const std::string& part) {
        std::vector<TensorSpec> specs = all;
        specs.erase(std::remove_if(specs.begin(), specs.end(),
                                   [&](const TensorSpec& t) { return t.name.find(part) != std::string::npos; }),
                    specs.end());
        return refused(folder, specs).message;
    };
    CHECK(without("input_blocks.1.").find("'model.diffusion_model.input_blocks.1'") != std::string::npos);
    CHECK(without("output_blocks.3.").find("4 input blocks but 3 output blocks") != std::string::npos);
    CHECK(without("output_blocks.1.").find("'model.diffusion_model.output_blocks.1'") != std::string::npos);
    CHECK(without("encoder.layers.0.").find("'cond_stage_model.transformer.text_model.encoder.layers.0") !=
          std::string::npos);
    CHECK(without("decoder.up.1.block.0").find("'first_stage_model.decoder.up.1.block.0'") != std::string::npos);
    CHECK(without("cond_stage_model")
              .find("'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight' is missing") !=
          std::string::npos);
    CHECK(without("first_stage_model").find("'first_stage_model.encoder.conv_in.weight' is missing") !=
          std::string::npos);
}

TEST_CASE("variants of names and shapes that published checkpoints have", "[models]") {
    const TemporaryFolder folder;
    const ModelConfig config = from_json(kSmall);
    std::vector<TensorSpec> specs = expected_tensors(config);

    SECTION("a text encoder without text_model in its names") {
        for (TensorSpec& t : specs)
            if (const auto at = t.name.find("text_model."); at != std::string::npos) t.name.erase(at, 11);
        const auto inferred = model_config(sparse_file(folder, specs));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(inferred->text[0].prefix == "cond_stage_model.transformer.");
        CHECK(inferred->unet == config.unet);
    }
    SECTION("1x1 convolutions stored as matrices, and the other way round") {
        for (TensorSpec& t : specs) {
            if (t.shape.size() == 4 && t.shape[3] == 1)
                t.shape.resize(2);
            else if (t.use == WeightUse::linear)
                t.shape.insert(t.shape.end(), {1, 1});
        }
        auto inferred = model_config(sparse_file(folder, specs));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(inferred->unet.linear_projections);
        inferred->unet.linear_projections = false;
        CHECK(*inferred == config);
    }
    SECTION("tensors that are not needed") {
        specs.push_back({"model_ema.decay", {}, WeightUse::vector});
        specs.push_back({"cond_stage_model.transformer.text_model.embeddings.position_ids", {1, 77}, WeightUse::table});
        specs.push_back({"alphas_cumprod", {1000}, WeightUse::vector});
        CHECK(model_config(sparse_file(folder, specs)));
    }
    SECTION("v prediction as an empty tensor") {
        specs.push_back({"v_pred", {0}, WeightUse::vector});
        const auto inferred = model_config(sparse_file(folder, specs));
        REQUIRE(inferred);
        CHECK(inferred->v_prediction);
    }
}

TEST_CASE("metadata tells what shapes do not", "[models]") {
    const TemporaryFolder folder;
    const std::vector<TensorSpec> specs = expected_tensors(from_json(kSmall));
    const auto with = [&](const std::string& key, const std::string& json) {
        return model_config(sparse_file(folder, specs, "{\"" + key + "\":" + quoted(json) + "}"));
    };
    const auto heads = with(
        "pumice.config", R"({"unet":{"num_heads":4},"text":{"heads":2},"vae":{"scale_factor":0.5},"prediction":"v"})");
    if (!heads) FAIL(heads.error().message);
    CHECK(heads->unet.heads == 4);
    CHECK(heads->text[0].heads == 2);
    CHECK(heads->vae.scaling_factor == 0.5);
    CHECK(heads->v_prediction);
    const auto some = with("tiny_config", R"({"unet":{"num_heads":2}})");
    REQUIRE(some);
    CHECK(some->unet.heads == 2);
    CHECK(some->text[0].heads == 1);
    CHECK(some->vae.scaling_factor == 0.18215);

    const auto broken = [&](const std::string& json, const std::string& part) {
        const auto config = with("pumice.config", json);
        REQUIRE_FALSE(config);
        INFO(config.error().message);
        CHECK(config.error().message.find("metadata pumice.config: " + part) != std::string::npos);
    };
    broken("{", "is not valid JSON");
    broken("[]", "is not a JSON object");
    broken(R"({"unet":3})", "unet is not an object");
    broken(R"({"unet":{"num_heads":"8"}})", "unet.num_heads is not a number from 1 to 65536");
    broken(R"({"unet":{"num_heads":0}})", "unet.num_heads is not a number from 1");
    broken(R"({"unet":{"num_head_channels":"8"}})", "unet.num_head_channels");
    broken(R"({"text":{"heads":-1}})", "text.heads is not a number");
    broken(R"({"vae":{"scale_factor":"x"}})", "vae.scale_factor is not a number");
    broken(R"({"vae":{"scale_factor":-1}})", "vae.scale_factor is not a positive number");
    broken(R"({"prediction":"x0"})", "prediction is neither");

    const Error no_heads = refused(folder, specs, "{\"pumice.config\":" + quoted(R"({"unet":{"num_heads":7}})") + "}");
    CHECK(no_heads.code == Code::unsupported);
    CHECK(no_heads.message.find("cannot be 7 heads") != std::string::npos);
}

TEST_CASE("configurations that are wrong", "[models]") {
    const auto wrong = [](const std::string& json, const std::string& part) {
        const auto config = config_from_json(json, "tiny.json");
        REQUIRE_FALSE(config);
        INFO(config.error().message);
        CHECK(config.error().message.find("tiny.json: ") == 0);
        CHECK(config.error().message.find(part) != std::string::npos);
    };
    wrong("", "is not valid JSON");
    wrong(R"({"kind":"sd3"})", "kind is none of \"sd1\"");
    wrong(R"({"unet":{"channel_mult":4}})", "unet.channel_mult is not a list");
    wrong(R"({"unet":{"channel_mult":[]}})", "unet.channel_mult needs 1 to 16 numbers");
    wrong(R"({"unet":{"channel_mult":[2,1]}})", "unet.channel_mult needs 1 to 16 numbers, the first of them 1");
    wrong(R"({"unet":{"channel_mult":[1,"2"]}})", "unet.channel_mult is not a number");
    wrong(R"({"vae":{"ch_mult":[4]}})", "vae.ch_mult needs");
    wrong(R"({"text":{"layers":1000000}})", "text.layers is not a number from 1 to 256");
    CHECK(check_config(from_json("{}")));
    const auto unsupported = [](const std::string& json, const std::string& part) {
        const auto status = check_config(from_json(json));
        REQUIRE_FALSE(status);
        CHECK(status.error().code == Code::unsupported);
        INFO(status.error().message);
        CHECK(status.error().message.find(part) != std::string::npos);
    };
    unsupported(R"({"unet":{"model_channels":48}})", "UNet has 48 channels, which 32 norm groups do not divide");
    unsupported(R"({"vae":{"ch":16}})", "VAE has 16 channels");
    unsupported(R"({"unet":{"num_heads":3}})", "input_blocks.1.1 has 320 channels, which cannot be 3 heads");
    unsupported(R"({"text":{"width":1024,"heads":16}})", "context of 768 channels, but the text encoder has 1024");
    unsupported(R"({"unet":{"in_channels":5}})", "5 channels in and 4 out, but the VAE's latent has 4");
}

TEST_CASE("other families are recognized and refused by name", "[models]") {
    const TemporaryFolder folder;
    const auto spec = [](const std::string& name, std::vector<std::uint64_t> shape) {
        return TensorSpec{name, std::move(shape), WeightUse::linear};
    };
    const std::pair<TensorSpec, Family> cases[] = {
        {spec("model.diffusion_model.joint_blocks.0.x", {1}), Family::sd3},
        {spec("model.diffusion_model.double_blocks.0.x", {1}), Family::flux},
        {spec("double_blocks.0.img_attn.proj.weight", {1}), Family::flux},
        {spec("conditioner.embedders.1.model.ln_final.weight", {1}), Family::sdxl},
        {spec("conditioner.embedders.0.model.ln_final.weight", {1}), Family::sdxl_refiner},
        {spec("cond_stage_model.model.ln_final.weight", {1}), Family::sd2},
        {spec("model.diffusion_model.label_emb.0.0.weight", {1}), Family::sdxl},
        {spec("model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight", {8, 1024}), Family::sd2},
        {spec("model.diffusion_model.input_blocks.0.0.weight", {8, 9, 3, 3}), Family::sd1_inpainting},
        {spec("model.diffusion_model.input_blocks.0.0.weight", {8, 8, 3, 3}), Family::sd1_edit},
        {spec("control_model.input_blocks.0.0.weight", {1}), Family::control_net},
        {spec("lora_unet_down_blocks_0.alpha", {1}), Family::lora},
        {spec("unet.to_k.lora_A.weight", {1}), Family::lora},
        {spec("down_blocks.0.resnets.0.conv1.weight", {1}), Family::diffusers},
        {spec("text_model.final_layer_norm.weight", {1}), Family::diffusers},
        {spec("emb_params", {3, 768}), Family::embedding},
        {spec("conv_first.weight", {1}), Family::upscaler},
        {spec("first_stage_model.decoder.conv_in.weight", {1}), Family::vae_only},
        {spec("decoder.conv_in.weight", {1}), Family::vae_only},
    };
    for (const auto& [tensor, family] : cases) {
        const auto file = sparse_file(folder, {tensor});
        INFO(tensor.name);
        CHECK(recognize(file) == family);
        const auto config = model_config(file);
        REQUIRE_FALSE(config);
        // Of a family that runs, the first tensor that is missing is named.
        CHECK(config.error().code == (runs(family) ? Code::bad_format : Code::unsupported));
        CHECK(config.error().message.find(runs(family) ? "is missing" : fmt::format("holds {};", to_string(family))) !=
              std::string::npos);
    }
    const Error unknown = refused(folder, {spec("something", {1})});
    CHECK(unknown.code == Code::unsupported);
    CHECK(unknown.message.find("holds no model of a known family") != std::string::npos);
}

namespace {

std::uint64_t parameters(const std::vector<TensorSpec>& specs) {
    std::uint64_t sum = 0;
    for (const TensorSpec& t : specs) {
        std::uint64_t n = 1;
        for (const std::uint64_t s : t.shape) n *= s;
        sum += n;
    }
    return sum;
}

}  // namespace

TEST_CASE("the published geometries of SD 2, XL and its refiner have their known sizes", "[models]") {
    const TemporaryFolder folder;
    struct Known {
        const char* kind;
        std::uint64_t unet;
        std::vector<std::uint64_t> text;
        std::uint32_t context, vector;
    };
    // As published: 866 M; 2.6 B (Podell et al., table 1) and 2.3 B; OpenCLIP's text halves of ViT-H and ViT-bigG with 353 M
    // and 695 M.
    for (const Known& known : {Known{"sd2", 865'910'724, {352'984'064}, 1024, 0},
                               Known{"sdxl", 2'567'463'684, {123'060'480, 694'659'840}, 2048, 2816},
                               Known{"sdxl_refiner", 2'259'526'660, {694'659'840}, 1280, 2560}}) {
        INFO(known.kind);
        const ModelConfig config = from_json(fmt::format("{{\"kind\":\"{}\"}}", known.kind));
        CHECK(config.unet.context_channels == known.context);
        CHECK(config.unet.vector_channels == known.vector);
        CHECK(config.unet.head_channels == 64);
        CHECK(config.vae.scaling_factor == (known.vector ? 0.13025 : 0.18215));
        REQUIRE(config.text.size() == known.text.size());
        if (known.vector) CHECK(parameters(expected_tensors(config.unet)) == known.unet);
        CHECK(parameters(expected_tensors(config.unet)) == known.unet);
        for (std::size_t i = 0; i < known.text.size(); ++i)
            CHECK(parameters(expected_tensors(config.text[i])) == known.text[i]);
        CHECK(check_config(config));
        const auto inferred = model_config(sparse_file(folder, expected_tensors(config)));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(*inferred == config);
    }
}

TEST_CASE("the tiny SD 2 and XL checkpoints", "[models]") {
    const auto open = [](const std::string& family) {
        auto file = WeightFile::open(PUMICE_TEST_DATA "/goldens/" + family + "/" + family + "_tiny.safetensors");
        if (!file) FAIL(file.error().message);
        auto config = model_config(*file);
        if (!config) FAIL(config.error().message);
        CHECK(*config == from_json(file->metadata().at("tiny_config")));
        return *std::move(config);
    };
    const ModelConfig sd2 = open("sd2");
    CHECK(sd2.family == Family::sd2);
    CHECK(sd2.v_prediction);
    CHECK(sd2.unet.head_channels == 16);
    CHECK(sd2.unet.linear_projections);
    CHECK(sd2.text[0].layout == TextLayout::open_clip);
    CHECK(sd2.text[0].output == TextOutput::penultimate_normed);
    const ModelConfig xl = open("sdxl");
    CHECK(xl.family == Family::sdxl);
    CHECK_FALSE(xl.v_prediction);
    CHECK(xl.unet.vector_channels == 16 + 6 * kSizeChannels);
    CHECK(xl.unet.middle_block[1].depth == 2);
    REQUIRE(xl.text.size() == 2);
    CHECK(xl.text[1].projection == 16);
    CHECK(xl.text[1].heads == 4);
}

TEST_CASE("distilled and pruned networks are recognized by their shapes", "[models]") {
    const TemporaryFolder folder;
    const auto without = [](std::vector<TensorSpec> specs, const std::vector<std::string>& parts) {
        specs.erase(std::remove_if(specs.begin(), specs.end(),
                                   [&](const TensorSpec& t) {
                                       return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
                                           return t.name.find(part) != std::string::npos;
                                       });
                                   }),
                    specs.end());
        return specs;
    };
    SECTION("without a middle block, as tiny-sd") {
        const auto specs = without(expected_tensors(from_json(kSmall)), {".middle_block."});
        const auto inferred = model_config(sparse_file(folder, specs));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(inferred->unet.middle_block.empty());
    }
    SECTION("a middle block of one ResBlock and fewer transformers, as SSD-1B and Segmind-Vega") {
        const ModelConfig xl = from_json(R"({"kind":"sdxl"})");
        const auto specs = without(expected_tensors(xl), {".middle_block.1.", ".middle_block.2.",
                                                          "input_blocks.7.1.transformer_blocks.9",
                                                          "input_blocks.7.1.transformer_blocks.8",
                                                          "output_blocks.2.1.transformer_blocks.9"});
        const auto inferred = model_config(sparse_file(folder, specs));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(inferred->family == Family::sdxl);
        CHECK(inferred->unet.middle_block.size() == 1);
        CHECK(inferred->unet.input_blocks[7][1].depth == 8);
        CHECK(inferred->unet.output_blocks[2][1].depth == 9);
    }
    SECTION("inpainting and editing") {
        for (const auto& [channels, family] : {std::pair{9, Family::sd1_inpainting}, std::pair{8, Family::sd1_edit}}) {
            const ModelConfig config = from_json(fmt::format(R"({{"unet":{{"in_channels":{}}}}})", channels));
            const auto inferred = model_config(sparse_file(folder, expected_tensors(config)));
            if (!inferred) FAIL(inferred.error().message);
            CHECK(inferred->family == family);
            CHECK(*inferred == config);
        }
    }
}

TEST_CASE("the published geometries of pruned networks", "[models]") {
    const TemporaryFolder folder;
    const auto check = [&](const ModelConfig& config, std::uint64_t unet) {
        CHECK(parameters(expected_tensors(config.unet)) == unet);
        const auto inferred = model_config(sparse_file(folder, expected_tensors(config)));
        if (!inferred) FAIL(inferred.error().message);
        CHECK(inferred->unet == config.unet);
    };
    const auto set_depths = [](std::vector<UnetBlock>& blocks, const std::vector<std::uint32_t>& depths) {
        std::size_t next = 0;
        for (UnetBlock& block : blocks)
            for (UnetLayer& layer : block)
                if (layer.kind == LayerKind::transformer) layer.depth = depths.at(next++);
        CHECK(next == depths.size());
    };
    // Depths as in ComfyUI's comfy/model_detection.py; sums are the 1.3 B and 745 M that Segmind tells.
    struct Pruned {
        std::vector<std::uint32_t> input, output;
        std::uint64_t unet;
    };
    for (const Pruned& pruned : {Pruned{{2, 2, 4, 4}, {4, 4, 10, 2, 1, 1}, 1'331'334'404},
                                 Pruned{{1, 1, 2, 2}, {2, 2, 2, 1, 1, 1}, 745'225'604}}) {
        ModelConfig config = from_json(R"({"kind":"sdxl"})");
        set_depths(config.unet.input_blocks, pruned.input);
        set_depths(config.unet.output_blocks, pruned.output);
        config.unet.middle_block.resize(1);
        check(config, pruned.unet);
    }
    // tiny-sd: three levels with a ResBlock each and no middle, 324 M (Kim et al. 2023, arXiv 2305.15798, BK-SDM-Tiny).
    ModelConfig tiny = from_json(R"({"unet":{"channel_mult":[1,2,4],"num_res_blocks":1}})");
    tiny.unet.middle_block.clear();
    const std::uint64_t sum = parameters(expected_tensors(tiny.unet));
    CHECK(sum / 1'000'000 == 323);
    check(tiny, sum);
}

TEST_CASE("what files say of their prediction", "[models]") {
    const TemporaryFolder folder;
    const std::vector<TensorSpec> specs = expected_tensors(from_json(R"({"kind":"sdxl"})"));
    const auto with = [&](std::vector<TensorSpec> more, const std::string& metadata = "") {
        more.insert(more.end(), specs.begin(), specs.end());
        auto config = model_config(sparse_file(folder, more, metadata));
        if (!config) FAIL(config.error().message);
        return *std::move(config);
    };
    CHECK_FALSE(with({}).v_prediction);
    const ModelConfig both = with({{"v_pred", {0}, WeightUse::vector}, {"ztsnr", {0}, WeightUse::vector}});
    CHECK(both.v_prediction);
    CHECK(both.zero_terminal_snr);
    CHECK(with({}, R"({"modelspec.prediction_type":"v"})").v_prediction);
    CHECK(with({}, R"({"pumice.config":"{\"kind\":\"sdxl\",\"zero_terminal_snr\":true}"})").zero_terminal_snr);
}
