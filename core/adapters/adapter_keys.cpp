#include "adapters/adapter_keys.hpp"

#include <algorithm>
#include <utility>

namespace pumice {
namespace {

using Ending = std::pair<std::string_view, AdapterPart>;

// The first that fits counts: longer ones before those that they end with.
constexpr Ending kEndings[] = {
    {".lora_up.weight", AdapterPart::up},
    {".lora_down.weight", AdapterPart::down},
    {".lora_mid.weight", AdapterPart::mid},
    {".lora_B.weight", AdapterPart::up},
    {".lora_A.weight", AdapterPart::down},
    {".lora_B.default.weight", AdapterPart::up},
    {".lora_A.default.weight", AdapterPart::down},
    {".lora_B", AdapterPart::up},
    {".lora_A", AdapterPart::down},
    {".lora.up.weight", AdapterPart::up},
    {".lora.down.weight", AdapterPart::down},
    {"_lora.up.weight", AdapterPart::up},
    {"_lora.down.weight", AdapterPart::down},
    {".lora_linear_layer.up.weight", AdapterPart::up},
    {".lora_linear_layer.down.weight", AdapterPart::down},
    {".alpha", AdapterPart::alpha},
    {".dora_scale", AdapterPart::dora_scale},
    {".lora_magnitude_vector", AdapterPart::dora_scale},
    {".lora_magnitude_vector.weight", AdapterPart::dora_scale},
    {".lora_magnitude_vector.default.weight", AdapterPart::dora_scale},
    {".hada_w1_a", AdapterPart::hada_w1_a},
    {".hada_w1_b", AdapterPart::hada_w1_b},
    {".hada_w2_a", AdapterPart::hada_w2_a},
    {".hada_w2_b", AdapterPart::hada_w2_b},
    {".hada_t1", AdapterPart::hada_t1},
    {".hada_t2", AdapterPart::hada_t2},
    {".lokr_w1", AdapterPart::lokr_w1},
    {".lokr_w1_a", AdapterPart::lokr_w1_a},
    {".lokr_w1_b", AdapterPart::lokr_w1_b},
    {".lokr_w2", AdapterPart::lokr_w2},
    {".lokr_w2_a", AdapterPart::lokr_w2_a},
    {".lokr_w2_b", AdapterPart::lokr_w2_b},
    {".lokr_t2", AdapterPart::lokr_t2},
    {".diff", AdapterPart::difference},
    {".diff_b", AdapterPart::bias_difference},
    {".w_norm", AdapterPart::difference},
    {".b_norm", AdapterPart::bias_difference},
    {".on_input", AdapterPart::ia3_on_input},
    {".weight", AdapterPart::ia3_weight},
};

bool take(std::string& name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return false;
    name.erase(0, prefix.size());
    return true;
}

void replace_end(std::string& name, std::string_view end, std::string_view by) {
    if (name.ends_with(end)) name.replace(name.size() - end.size(), end.size(), by);
}

/// What is left of a text encoder's module: "encoder_layers_0_self_attn_q_proj".
std::string text_module(std::string name) {
    while (take(name, "transformer_") || take(name, "text_model_")) {
    }
    // Diffusers' first text encoder LoRAs are named after its attention processors.
    for (const char* which : {"q", "k", "v", "out"})
        replace_end(name, std::string("self_attn_to_") + which, std::string("self_attn_") + which + "_proj");
    return name;
}

std::string unet_module(std::string name) {
    if (const auto at = name.find("_processor_"); at != std::string::npos) name.erase(at, 10);
    replace_end(name, "_to_out", "_to_out_0");
    return name;
}

std::string normal_module(std::string_view raw) {
    std::string name = with_underscores(raw);
    while (take(name, "base_model_model_") || take(name, "lora_") || take(name, "lycoris_")) {
    }
    if (take(name, "te2_") || take(name, "text_encoder_2_") || take(name, "conditioner_embedders_1_"))
        return "te2/" + text_module(std::move(name));
    if (take(name, "te1_") || take(name, "te_") || take(name, "text_encoder_") || take(name, "cond_stage_model_") ||
        take(name, "conditioner_embedders_0_") || name.starts_with("text_model_"))
        return "te1/" + text_module(std::move(name));
    while (take(name, "unet_") || take(name, "model_diffusion_model_") || take(name, "diffusion_model_") ||
           take(name, "base_model_model_")) {
    }
    return "unet/" + unet_module(std::move(name));
}

}  // namespace

std::string with_underscores(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
}

std::optional<AdapterKey> adapter_key(std::string_view tensor) {
    for (const auto& [ending, part] : kEndings)
        if (tensor.size() > ending.size() && tensor.ends_with(ending))
            return AdapterKey{normal_module(tensor.substr(0, tensor.size() - ending.size())), part};
    return std::nullopt;
}

}  // namespace pumice
