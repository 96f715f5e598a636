// The names of an adapter's tensors: which module of the model a tensor is for, and what it is there.
//
// Trainers write one module in many ways; all of them come down to a network and a module's name with '_' for '.':
//   kohya-ss/sd-scripts   lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight, lora_te_…, lora_te1_…,
//   lora_te2_…
//                         (networks/lora.py), XL's also lora_unet_input_blocks_1_1_proj_in
//   LyCORIS               the same with its own parts, or the prefix lycoris_ (docs/Network-Args.md, wrapper.py)
//   diffusers             unet.down_blocks.0….to_q.lora.up.weight, ….attn1.processor.to_q_lora.up.weight,
//                         text_encoder.…q_proj.lora_linear_layer.up.weight (loaders/lora_pipeline.py)
//   PEFT                  base_model.model.….lora_A.weight, lora_B.weight, lora_magnitude_vector
//   the model's own       diffusion_model.input_blocks.1.1.proj_in.lora_up.weight (as ComfyUI takes them,
//   comfy/lora.py)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pumice {

/// What a tensor is in its module's change; adapter_patch.hpp has the formulas.
enum class AdapterPart : std::uint8_t {
    up,
    down,
    mid,
    alpha,
    dora_scale,
    hada_w1_a,
    hada_w1_b,
    hada_w2_a,
    hada_w2_b,
    hada_t1,
    hada_t2,
    lokr_w1,
    lokr_w1_a,
    lokr_w1_b,
    lokr_w2,
    lokr_w2_a,
    lokr_w2_b,
    lokr_t2,
    difference,
    bias_difference,
    ia3_weight,
    ia3_on_input
};

struct AdapterKey {
    /// "unet/down_blocks_0_attentions_0_proj_in", "te1/encoder_layers_0_mlp_fc1" (te2: XL's second text encoder).
    std::string module;
    AdapterPart part = AdapterPart::up;
};

/// Nothing for a name that is no part of an adapter.
std::optional<AdapterKey> adapter_key(std::string_view tensor);

/// '_' for '.'.
std::string with_underscores(std::string_view name);

}  // namespace pumice
