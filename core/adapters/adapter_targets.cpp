#include "adapters/adapter_targets.hpp"

#include <utility>

#include <fmt/format.h>

#include "adapters/adapter_keys.hpp"

namespace pumice {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kUnet = "model.diffusion_model.";

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kOutside[] = {{"time_embed.0", "time_embedding.linear_1"},
                             {"time_embed.2", "time_embedding.linear_2"},
                             {"label_emb.0.0", "add_embedding.linear_1"},
                             {"label_emb.0.2", "add_embedding.linear_2"},
                             {"input_blocks.0.0", "conv_in"},
                             {"out.0", "conv_norm_out"},
                             {"out.2", "conv_out"}};
constexpr Pair kResBlock[] = {{"in_layers.0", "norm1"},          {"in_layers.2", "conv1"},
                              {"emb_layers.1", "time_emb_proj"}, {"out_layers.0", "norm2"},
                              {"out_layers.3", "conv2"},         {"skip_connection", "conv_shortcut"}};
constexpr Pair kOpenClip[] = {{"ln_1", "layer_norm1"},
                              {"ln_2", "layer_norm2"},
                              {"mlp.c_fc", "mlp.fc1"},
                              {"mlp.c_proj", "mlp.fc2"},
                              {"attn.out_proj", "self_attn.out_proj"}};

template <std::size_t N>
std::string_view renamed(std::string_view name, const Pair (&pairs)[N]) {
    for (const auto& [from, to] : pairs)
        if (name == from) return to;
    return name;
}

/// Diffusers' names for the members of the UNet's blocks ("input_blocks.1.0" → "down_blocks.0.resnets.0").
class BlockNames {
public:
    explicit BlockNames(const WeightFile& model) : model_(model) {
        input_blocks();
        middle_block();
        output_blocks();
    }

    /// Of a module; empty where diffusers has none.
    std::string name(std::string_view module) const {
        if (const std::string_view outside = renamed(module, kOutside); outside != module) return std::string(outside);
        for (const auto& [member, base] : members_) {
            if (module == member) return base;
            if (!module.starts_with(member) || module[member.size()] != '.') continue;
            return fmt::format("{}.{}", base, renamed(module.substr(member.size() + 1), kResBlock));
        }
        return {};
    }

private:
    bool has(const std::string& prefix) const { return model_.has_prefix(std::string(kUnet) + prefix); }

    void input_blocks() {
        std::uint32_t level = 0, j = 0;
        for (std::uint32_t i = 1; has(fmt::format("input_blocks.{}.", i)); ++i) {
            const std::string block = fmt::format("input_blocks.{}", i);
            if (has(block + ".0.op.")) {
                members_[block + ".0.op"] = fmt::format("down_blocks.{}.downsamplers.0.conv", level++);
                j = 0;
                continue;
            }
            members_[block + ".0"] = fmt::format("down_blocks.{}.resnets.{}", level, j);
            members_[block + ".1"] = fmt::format("down_blocks.{}.attentions.{}", level, j++);
        }
    }
    void middle_block() {
        std::uint32_t resnets = 0, attentions = 0;
        for (std::uint32_t i = 0; has(fmt::format("middle_block.{}.", i)); ++i) {
            const std::string member = fmt::format("middle_block.{}", i);
            members_[member] = has(member + ".proj_in.") ? fmt::format("mid_block.attentions.{}", attentions++)
                                                         : fmt::format("mid_block.resnets.{}", resnets++);
        }
    }
    void output_blocks() {
        std::uint32_t level = 0, j = 0;
        for (std::uint32_t i = 0; has(fmt::format("output_blocks.{}.", i)); ++i) {
            const std::string block = fmt::format("output_blocks.{}", i);
            members_[block + ".0"] = fmt::format("up_blocks.{}.resnets.{}", level, j);
            bool up = false;
            for (const char* member : {".1", ".2"}) {
                if (has(block + member + ".conv.")) {
                    members_[block + member + ".conv"] = fmt::format("up_blocks.{}.upsamplers.0.conv", level);
                    up = true;
                } else {
                    members_[block + member] = fmt::format("up_blocks.{}.attentions.{}", level, j);
                }
            }
            ++j;
            if (up) ++level, j = 0;
        }
    }

    const WeightFile& model_;
    std::map<std::string, std::string, std::less<>> members_;
};

}  // namespace

std::uint64_t AdapterTarget::columns() const {
    std::uint64_t columns = 1;
    for (std::size_t i = 1; i < weight->shape.size(); ++i) columns *= weight->shape[i];
    return columns;
}

std::uint64_t AdapterTarget::taps() const {
    return weight->shape.size() == 4 ? weight->shape[2] * weight->shape[3] : 1;
}

AdapterTargets::AdapterTargets(const WeightFile& model) : model_(model) {
    add_unet();
    const std::string transformer = "cond_stage_model.transformer.";
    if (model_.has_prefix(transformer + "text_model."))
        add_text(transformer + "text_model.", {"te1"});
    else
        add_text(transformer, {"te1"});
    add_open_clip("cond_stage_model.model.", {"te1"});
    add_text("conditioner.embedders.0.transformer.text_model.", {"te1"});
    add_open_clip("conditioner.embedders.1.model.", {"te2"});
    // XL's refiner has the second encoder alone.
    add_open_clip("conditioner.embedders.0.model.", {"te1", "te2"});
}

const AdapterTarget* AdapterTargets::find(const std::string& module) const {
    const auto it = by_module_.find(module);
    return it == by_module_.end() ? nullptr : &it->second;
}

void AdapterTargets::add(const std::string& module, AdapterTarget target) {
    if (target.weight->shape.empty()) return;
    if (target.rows == 0) target.rows = static_cast<std::uint32_t>(target.weight->shape[0]);
    by_module_.emplace(module, target);
}

void AdapterTargets::add_unet() {
    const BlockNames blocks(model_);
    for (const StoredTensor& t : model_.with_prefix(kUnet)) {
        if (!t.name.ends_with(kWeight)) continue;
        const std::string full = t.name.substr(0, t.name.size() - kWeight.size());
        const std::string module = full.substr(kUnet.size());
        const AdapterTarget target{&t, model_.find(full + ".bias"), 0, 0, false};
        add("unet/" + with_underscores(module), target);
        if (const std::string other = blocks.name(module); !other.empty())
            add("unet/" + with_underscores(other), target);
        if (module.ends_with(".attn2.to_k") && t.shape.size() == 2) context_channels_ = t.shape[1];
    }
}

void AdapterTargets::add_text(const std::string& prefix, const std::vector<std::string>& networks) {
    for (const StoredTensor& t : model_.with_prefix(prefix)) {
        if (!t.name.ends_with(kWeight)) continue;
        const std::string full = t.name.substr(0, t.name.size() - kWeight.size());
        const AdapterTarget target{&t, model_.find(full + ".bias"), 0, 0, true};
        for (const std::string& network : networks)
            add(network + "/" + with_underscores(full.substr(prefix.size())), target);
    }
}

void AdapterTargets::add_open_clip(const std::string& prefix, const std::vector<std::string>& networks) {
    const std::string layers = prefix + "transformer.resblocks.";
    const auto add_as = [&](const std::string& name, const AdapterTarget& target) {
        for (const std::string& network : networks) add(network + "/" + with_underscores(name), target);
    };
    for (const StoredTensor& t : model_.with_prefix(layers)) {
        const std::string inside = t.name.substr(layers.size());  // "0.attn.in_proj_weight"
        const auto dot = inside.find('.');
        if (dot == std::string::npos) continue;
        const std::string layer = fmt::format("encoder.layers.{}.", inside.substr(0, dot));
        const std::string part = inside.substr(dot + 1);
        if (part == "attn.in_proj_weight" && !t.shape.empty() && t.shape[0] % 3 == 0) {
            const StoredTensor* const bias =
                model_.find(fmt::format("{}{}.attn.in_proj_bias", layers, inside.substr(0, dot)));
            const auto third = static_cast<std::uint32_t>(t.shape[0] / 3);
            for (std::uint32_t i = 0; i < 3; ++i)
                add_as(fmt::format("{}self_attn.{}_proj", layer, "qkv"[i]), {&t, bias, i * third, third, true});
        } else if (part.ends_with(kWeight)) {
            const std::string module = part.substr(0, part.size() - kWeight.size());
            const StoredTensor* const bias = model_.find(t.name.substr(0, t.name.size() - kWeight.size()) + ".bias");
            add_as(layer + std::string(renamed(module, kOpenClip)), {&t, bias, 0, 0, true});
        }
    }
    const auto single = [&](const char* open_clip, const char* name) {
        if (const StoredTensor* t = model_.find(prefix + open_clip + ".weight"))
            add_as(name, {t, model_.find(prefix + open_clip + ".bias"), 0, 0, true});
    };
    single("token_embedding", "embeddings.token_embedding");
    single("ln_final", "final_layer_norm");
}

}  // namespace pumice
