#include "adapters/adapter.hpp"

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::filesystem::path kGoldens = std::filesystem::path(PUMICE_TEST_DATA) / "goldens";

const AdapterTargets& targets() {
    static const AdapterTargets made(*WeightFile::open(kGoldens / "sd1" / "sd1_tiny.safetensors"));
    return made;
}

const std::string kModule = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";  // [32, 32]

std::vector<float> numbers(std::size_t n) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 7) - 3;
    return values;
}

FileBuilder& low_rank(FileBuilder& file, const std::string& module, std::uint64_t n, std::uint64_t k,
                      std::uint64_t rank) {
    file.add(module + ".lora_up.weight", "F32", {n, rank}, numbers(n * rank));
    return file.add(module + ".lora_down.weight", "F32", {rank, k}, numbers(rank * k));
}

struct Opened {
    TemporaryFolder folder;
    Result<std::shared_ptr<const Adapter>> adapter;
    explicit Opened(const FileBuilder& file) : adapter(Error{}) {
        write_file(folder / "a.safetensors", file.build());
        adapter = Adapter::open(folder / "a.safetensors", targets());
    }
    /// The message without the file's name.
    std::string message() const {
        if (adapter) return "none";
        const std::string file = (folder / "a.safetensors").string() + ": ";
        const std::string& text = adapter.error().message;
        return text.starts_with(file) ? text.substr(file.size()) : "no file: " + text;
    }
    Code code() const { return adapter ? Code::internal : adapter.error().code; }
};

}  // namespace

TEST_CASE("a model's modules have the names of the original, of diffusers and of transformers") {
    const struct {
        const char *module, *tensor;
    } cases[] = {
        {"unet/input_blocks_0_0", "input_blocks.0.0.weight"},
        {"unet/conv_in", "input_blocks.0.0.weight"},
        {"unet/down_blocks_0_resnets_0_conv1", "input_blocks.1.0.in_layers.2.weight"},
        {"unet/down_blocks_0_attentions_0_proj_in", "input_blocks.1.1.proj_in.weight"},
        {"unet/down_blocks_0_downsamplers_0_conv", "input_blocks.2.0.op.weight"},
        {"unet/mid_block_attentions_0_transformer_blocks_0_attn2_to_k",
         "middle_block.1.transformer_blocks.0.attn2.to_k.weight"},
        {"unet/mid_block_resnets_1_conv2", "middle_block.2.out_layers.3.weight"},
        {"unet/up_blocks_0_upsamplers_0_conv", "output_blocks.1.1.conv.weight"},
        {"unet/up_blocks_2_attentions_1_proj_out", "output_blocks.5.1.proj_out.weight"},
        {"unet/time_embedding_linear_1", "time_embed.0.weight"},
        {"unet/conv_out", "out.2.weight"},
    };
    for (const auto& c : cases) {
        INFO(c.module);
        const AdapterTarget* const target = targets().find(c.module);
        REQUIRE(target);
        CHECK(target->weight->name == std::string("model.diffusion_model.") + c.tensor);
        CHECK(target->rows == target->weight->shape[0]);
        CHECK_FALSE(target->text);
    }
    const AdapterTarget* const text = targets().find("te1/encoder_layers_0_self_attn_q_proj");
    REQUIRE(text);
    CHECK(text->text);
    CHECK(text->weight->name == "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight");
    CHECK(text->bias->name == "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.bias");
    CHECK(targets().find("te2/encoder_layers_0_self_attn_q_proj") == nullptr);
}

TEST_CASE("OpenCLIP's query, key and value are thirds of one tensor") {
    TemporaryFolder folder;
    FileBuilder file;
    const std::string layer = "conditioner.embedders.1.model.transformer.resblocks.2.";
    file.add(layer + "attn.in_proj_weight", "F32", {12, 4}, numbers(48));
    file.add(layer + "attn.in_proj_bias", "F32", {12}, numbers(12));
    file.add(layer + "mlp.c_fc.weight", "F32", {8, 4}, numbers(32));
    write_file(folder / "xl.safetensors", file.build());
    const AdapterTargets xl(*WeightFile::open(folder / "xl.safetensors"));
    const AdapterTarget* const value = xl.find("te2/encoder_layers_2_self_attn_v_proj");
    REQUIRE(value);
    CHECK(value->row0 == 8);
    CHECK(value->rows == 4);
    CHECK(value->bias != nullptr);
    REQUIRE(xl.find("te2/encoder_layers_2_mlp_fc1"));
    CHECK(xl.find("te2/encoder_layers_2_mlp_fc1")->rows == 8);
    CHECK(xl.find("te1/encoder_layers_2_mlp_fc1") == nullptr);
}

TEST_CASE("the golden adapters belong to the golden model whole") {
    for (const char* name : {"lora", "locon", "loha", "lokr", "dora", "full"}) {
        INFO(name);
        const auto adapter = Adapter::open(kGoldens / "lora" / (std::string(name) + ".safetensors"), targets());
        REQUIRE(adapter);
        CHECK((*adapter)->left_out() == 0);
        CHECK((*adapter)->warning().empty());
        for (const AdapterModule& module : (*adapter)->modules()) {
            if (!module.changes_weight()) continue;
            const auto patch = weight_patch(module, true);
            REQUIRE(patch);
            CHECK(patch->change.rows == module.target.rows);
            CHECK_FALSE(patch->factors.empty());
        }
    }
}

TEST_CASE("alpha over rank is the factor, and strengths go to networks") {
    FileBuilder file;
    low_rank(file, kModule, 32, 32, 2).add(kModule + ".alpha", "F32", {}, std::vector<float>{1});
    low_rank(file, "lora_te_text_model_encoder_layers_0_self_attn_q_proj", 16, 16, 2);
    const Opened opened(file);
    REQUIRE(opened.adapter);
    const AdapterSet set({{*opened.adapter, 0.5f, 0.25f}});
    const auto unet = set.patches("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight");
    REQUIRE(unet);
    REQUIRE(unet->size() == 1);
    CHECK(unet->front().change.factor == 0.125f);
    const auto text = set.patches("cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight");
    REQUIRE(text->size() == 1);
    CHECK(text->front().change.factor == 0.5f);
    CHECK_FALSE(set.changes("model.diffusion_model.input_blocks.0.0.weight"));
    // At strength 0 nothing is done.
    CHECK_FALSE(AdapterSet({{*opened.adapter, 0, 0}})
                    .changes("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"));
}

TEST_CASE("IA3 scales rows or input channels") {
    FileBuilder file;
    file.add(kModule + ".weight", "F32", {32}, numbers(32))
        .add(kModule + ".on_input", "BOOL", {}, std::string("\1", 1));
    const Opened opened(file);
    REQUIRE(opened.adapter);
    const auto patch = weight_patch((*opened.adapter)->modules().front(), true);
    REQUIRE(patch);
    CHECK(patch->change.kind == ops::MergeChange::Kind::columns);
    CHECK(patch->factors == numbers(32));
}

TEST_CASE("tensors without a place are counted and the first is named") {
    FileBuilder file;
    low_rank(file, kModule, 32, 32, 2).add("lora_unet_nowhere.alpha", "F32", {}, std::vector<float>{1});
    low_rank(file, "lora_te2_text_model_encoder_layers_0_mlp_fc1", 8, 8, 2);
    const Opened opened(file);
    REQUIRE(opened.adapter);
    CHECK((*opened.adapter)->left_out() == 3);
    const std::string warning = (*opened.adapter)->warning();
    CHECK(
        warning.ends_with("a.safetensors: 3 of 5 tensors belong to nothing of the model and are left out, "
                          "'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight' the first"));
}

TEST_CASE("an adapter that does not fit is refused, with the reason") {
    FileBuilder columns, rows, alone, none, alpha, twice, table;
    CHECK(Opened(low_rank(columns, kModule, 32, 40, 2)).message() ==
          "tensor '" + kModule +
              ".lora_down.weight' has shape [2, 40], but 32 columns, for "
              "'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight' is needed");
    CHECK(Opened(low_rank(rows, kModule, 24, 32, 2))
              .message()
              .starts_with("tensor '" + kModule +
                           ".lora_up.weight' has "
                           "shape [24, 2], but [32, 2]"));
    alone.add(kModule + ".lora_up.weight", "F32", {32, 2}, numbers(64));
    CHECK(Opened(alone).message() == "tensor '" + kModule + ".lora_up.weight' has no lora_down beside it");
    CHECK(Opened(alone).code() == Code::bad_format);
    none.add("conv.weight", "F32", {2}, numbers(2));
    CHECK(Opened(none).message() ==
          "none of its 1 tensors belongs to the model, 'conv.weight' the first: no adapter, or "
          "made for another kind of model");
    CHECK(Opened(none).code() == Code::unsupported);
    low_rank(alpha, kModule, 32, 32, 2).add(kModule + ".alpha", "F32", {2}, numbers(2));
    CHECK(Opened(alpha).message() == "tensor '" + kModule + ".alpha' has shape [2], but one number is needed");
    low_rank(twice, kModule, 32, 32, 2)
        .add("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", "F32", {2, 32},
             numbers(64));
    CHECK(Opened(twice).message().ends_with("says again what another one says"));
    low_rank(table, "lora_te_text_model_embeddings_position_embedding", 77, 16, 2);
    CHECK(Opened(table).code() == Code::unsupported);
}

TEST_CASE("an adapter of another family is named") {
    FileBuilder xl, flux;
    low_rank(xl, "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 32, 2048, 2);
    CHECK(Opened(xl).message() == "made for Stable Diffusion XL (text of 2048 channels), but the model's text has 16");
    CHECK(Opened(xl).code() == Code::unsupported);
    low_rank(flux, "lora_unet_double_blocks_0_img_attn_proj", 32, 32, 2);
    CHECK(Opened(flux).message() == "made for Flux, which the model is not");
}
