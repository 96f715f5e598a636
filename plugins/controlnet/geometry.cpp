#include "geometry.hpp"

namespace pumice::controlnet {
namespace {

using Kind = Member::Kind;

constexpr int kMostBlocks = 64;
constexpr ResNames kOriginalRes = {"in_layers.0",  "in_layers.2",  "emb_layers.1",
                                   "out_layers.0", "out_layers.3", "skip_connection"};
constexpr ResNames kDiffusersRes = {"norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut"};
/// Every other convolution of the hint's halves it, to an eighth in all; the first and the last keep the size.
constexpr std::uint32_t kHintStrides[] = {1, 1, 2, 1, 2, 1, 2, 1};

std::string numbered(const std::string& name, int i) {
    return name + "." + std::to_string(i);
}

/// Members of a block of the original layout, each recognized by its tensors.
std::vector<Member> original_members(const Host& host, const std::string& block) {
    std::vector<Member> members;
    for (int i = 0; i < kMostBlocks; ++i) {
        const std::string name = numbered(block, i);
        if (host.has(name + ".in_layers.2.weight"))
            members.push_back({Kind::res, name});
        else if (host.has(name + ".proj_in.weight"))
            members.push_back({Kind::transformer, name});
        else if (host.has(name + ".op.weight"))
            members.push_back({Kind::downsample, name + ".op"});
        else if (host.has(name + ".weight"))
            members.push_back({Kind::conv, name});
        else
            break;
    }
    return members;
}

void read_original(const Host& host, const std::string& prefix, Geometry& g) {
    g.res = kOriginalRes;
    for (int i = 0; i < kMostBlocks; ++i) {
        Block block{original_members(host, numbered(prefix + "input_blocks", i)),
                    numbered(prefix + "zero_convs", i) + ".0"};
        if (block.members.empty()) break;
        g.input.push_back(std::move(block));
    }
    g.middle = {original_members(host, prefix + "middle_block"), prefix + "middle_block_out.0"};
    for (int i = 0; i < 8; ++i) g.hint.push_back({numbered(prefix + "input_hint_block", 2 * i), kHintStrides[i]});
    g.time_1 = prefix + "time_embed.0";
    g.time_2 = prefix + "time_embed.2";
    if (host.has(prefix + "label_emb.0.0.weight")) {
        g.label_1 = prefix + "label_emb.0.0";
        g.label_2 = prefix + "label_emb.0.2";
    }
}

void read_diffusers(const Host& host, Geometry& g) {
    g.res = kDiffusersRes;
    const auto add = [&g](std::vector<Member> members) {
        g.input.push_back({std::move(members), numbered("controlnet_down_blocks", static_cast<int>(g.input.size()))});
    };
    add({{Kind::conv, "conv_in"}});
    for (int b = 0; b < kMostBlocks; ++b) {
        const std::string level = numbered("down_blocks", b);
        if (!host.has(level + ".resnets.0.conv1.weight")) break;
        for (int j = 0; host.has(numbered(level + ".resnets", j) + ".conv1.weight") && j < kMostBlocks; ++j) {
            std::vector<Member> members = {{Kind::res, numbered(level + ".resnets", j)}};
            const std::string attention = numbered(level + ".attentions", j);
            if (host.has(attention + ".proj_in.weight")) members.push_back({Kind::transformer, attention});
            add(std::move(members));
        }
        if (host.has(level + ".downsamplers.0.conv.weight")) add({{Kind::downsample, level + ".downsamplers.0.conv"}});
    }
    g.middle.zero = "controlnet_mid_block";
    g.middle.members.push_back({Kind::res, "mid_block.resnets.0"});
    if (host.has("mid_block.attentions.0.proj_in.weight"))
        g.middle.members.push_back({Kind::transformer, "mid_block.attentions.0"});
    g.middle.members.push_back({Kind::res, "mid_block.resnets.1"});
    const std::string hint = "controlnet_cond_embedding.";
    for (int i = 0; i < 8; ++i)
        g.hint.push_back({hint + (i == 0   ? std::string("conv_in")
                                  : i == 7 ? std::string("conv_out")
                                           : numbered("blocks", i - 1)),
                          kHintStrides[i]});
    g.time_1 = "time_embedding.linear_1";
    g.time_2 = "time_embedding.linear_2";
    if (host.has("add_embedding.linear_1.weight")) {
        g.label_1 = "add_embedding.linear_1";
        g.label_2 = "add_embedding.linear_2";
    }
}

/// The first of the tensors that a ControlNet must have and this file lacks.
std::string missing(const Host& host, const Geometry& g) {
    std::vector<std::string> names = {g.time_1, g.time_2, g.middle.zero};
    for (const HintConv& conv : g.hint) names.push_back(conv.name);
    for (const Block& block : g.input) names.push_back(block.zero);
    for (const std::string& name : names)
        if (!host.has(name + ".weight")) return name + ".weight";
    return {};
}

}  // namespace

pumice_sdk_status read_geometry(const Host& host, Geometry& g) {
    bool known = false;
    for (const std::string prefix : {"control_model.", ""})
        if (!known && host.has(prefix + "input_hint_block.0.weight")) {
            read_original(host, prefix, g);
            known = true;
        }
    if (!known && host.has("controlnet_cond_embedding.conv_in.weight")) {
        read_diffusers(host, g);
        known = true;
    }
    if (!known)
        return host.fail(PUMICE_SDK_UNSUPPORTED, host.has("lora_controlnet")
                                                     ? "a ControlLoRA, which this version does not run"
                                                     : "no ControlNet: it has no input_hint_block.0 and no "
                                                       "controlnet_cond_embedding.conv_in");
    if (const std::string name = missing(host, g); !name.empty())
        return host.fail(PUMICE_SDK_BAD_FORMAT, "the ControlNet has no tensor " + name);
    return PUMICE_SDK_OK;
}

}  // namespace pumice::controlnet
