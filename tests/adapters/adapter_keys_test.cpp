#include "adapters/adapter_keys.hpp"

#include "catch.hpp"

using namespace pumice;

namespace {

std::string module_of(const char* tensor) {
    const auto key = adapter_key(tensor);
    return key ? key->module : "none";
}

}  // namespace

TEST_CASE("one module under the names that trainers give it") {
    // kohya-ss/sd-scripts, LyCORIS, diffusers (old and new), PEFT, and the checkpoint's own names.
    for (const char* tensor :
         {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_up.weight",
          "lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.hada_w1_a",
          "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.up.weight",
          "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
          "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down.weight",
          "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
          "unet.base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_B.weight",
          "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_magnitude_vector"})
        CHECK(module_of(tensor) == "unet/down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0");
    CHECK(module_of("diffusion_model.input_blocks.1.1.proj_in.lora_up.weight") == "unet/input_blocks_1_1_proj_in");
    CHECK(module_of("lora_unet_input_blocks_1_1_proj_in.alpha") == "unet/input_blocks_1_1_proj_in");
}

TEST_CASE("text encoders are told apart") {
    for (const char* tensor :
         {"lora_te_text_model_encoder_layers_3_self_attn_q_proj.lora_down.weight",
          "lora_te1_text_model_encoder_layers_3_self_attn_q_proj.dora_scale",
          "text_encoder.text_model.encoder.layers.3.self_attn.q_proj.lora_linear_layer.up.weight",
          "text_encoder.text_model.encoder.layers.3.self_attn.to_q_lora.up.weight",
          "cond_stage_model.transformer.text_model.encoder.layers.3.self_attn.q_proj.lora_up.weight"})
        CHECK(module_of(tensor) == "te1/encoder_layers_3_self_attn_q_proj");
    CHECK(module_of("lora_te2_text_model_encoder_layers_31_mlp_fc1.lora_up.weight") == "te2/encoder_layers_31_mlp_fc1");
    CHECK(module_of("text_encoder_2.text_model.encoder.layers.31.mlp.fc1.lora_A.weight") ==
          "te2/encoder_layers_31_mlp_fc1");
}

TEST_CASE("what a tensor is shows in its ending") {
    const auto part = [](const std::string& ending) { return adapter_key("lora_unet_conv_in" + ending)->part; };
    CHECK(part(".lora_up.weight") == AdapterPart::up);
    CHECK(part(".lora_down.weight") == AdapterPart::down);
    CHECK(part(".lora_mid.weight") == AdapterPart::mid);
    CHECK(part(".lokr_w1_a") == AdapterPart::lokr_w1_a);
    CHECK(part(".lokr_w1") == AdapterPart::lokr_w1);
    CHECK(part(".w_norm") == AdapterPart::difference);
    CHECK(part(".diff_b") == AdapterPart::bias_difference);
    CHECK(part(".weight") == AdapterPart::ia3_weight);
    CHECK_FALSE(adapter_key("lora_unet_conv_in"));
    CHECK_FALSE(adapter_key(".alpha"));
    CHECK_FALSE(adapter_key(""));
}
