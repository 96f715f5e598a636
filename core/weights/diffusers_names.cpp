#include "weights/diffusers_names.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "weights/name_tables.hpp"

namespace pumice {
namespace {

using namespace name_tables;

/// From the original's name to diffusers': the last pair counts, which has the names of today.
template <std::size_t N>
std::string replaced(std::string_view rest, const Pair (&pairs)[N]) {
    for (auto pair = std::rbegin(pairs); pair != std::rend(pairs); ++pair)
        if (rest.starts_with(pair->second)) return fmt::format("{}{}", pair->first, rest.substr(pair->second.size()));
    return std::string(rest);
}

std::string input_block(Cursor name, std::uint32_t block, std::uint32_t resnets) {
    const std::uint32_t down = (block - 1) / (resnets + 1), j = (block - 1) % (resnets + 1);
    if (name.take("0.op.")) return fmt::format("down_blocks.{}.downsamplers.0.conv.{}", down, name.rest);
    if (name.take("0.")) return fmt::format("down_blocks.{}.resnets.{}.{}", down, j, replaced(name.rest, kUnetResnet));
    if (name.take("1.")) return fmt::format("down_blocks.{}.attentions.{}.{}", down, j, name.rest);
    return {};
}

std::string output_block(Cursor name, std::uint32_t block, std::uint32_t resnets) {
    const std::uint32_t up = block / (resnets + 1), j = block % (resnets + 1);
    if (name.take("1.conv.") || name.take("2.conv."))
        return fmt::format("up_blocks.{}.upsamplers.0.conv.{}", up, name.rest);
    if (name.take("0.")) return fmt::format("up_blocks.{}.resnets.{}.{}", up, j, replaced(name.rest, kUnetResnet));
    if (name.take("1.")) return fmt::format("up_blocks.{}.attentions.{}.{}", up, j, name.rest);
    return {};
}

std::string unet_name(std::string_view full, const DiffusersLayout& layout) {
    Cursor name{full};
    const bool in = name.take("input_blocks.");
    if (in || name.take("output_blocks.")) {
        const auto block = name.index();
        if (!block) return {};
        if (in && *block == 0) return replaced(full, kUnetOutside);
        return in ? input_block(name, *block, layout.resnets) : output_block(name, *block, layout.resnets);
    }
    if (name.take("middle_block.")) {
        const auto n = name.index();
        if (!n) return {};
        if (*n % 2 == 1) return fmt::format("mid_block.attentions.{}.{}", *n / 2, name.rest);
        return fmt::format("mid_block.resnets.{}.{}", *n / 2, replaced(name.rest, kUnetResnet));
    }
    return replaced(full, kUnetOutside);
}

std::string vae_name(std::string_view full, std::uint32_t levels) {
    Cursor name{full};
    const bool encoder = name.take("encoder.");
    if (!encoder && !name.take("decoder.")) return {};
    const std::string_view half = encoder ? "encoder" : "decoder";
    if (name.take("mid.block_")) {
        const auto j = name.index();
        if (!j || *j == 0) return {};
        return fmt::format("{}.mid_block.resnets.{}.{}", half, *j - 1, replaced(name.rest, kVaeResnet));
    }
    if (name.take("mid.attn_1."))
        return fmt::format("{}.mid_block.attentions.0.{}", half, replaced(name.rest, kVaeAttention));
    if (name.take("norm_out.")) return fmt::format("{}.conv_norm_out.{}", half, name.rest);
    if (!name.take(encoder ? "down." : "up.")) return {};
    const auto level = name.index();
    if (!level || *level >= levels) return {};
    const std::string block = encoder ? fmt::format("encoder.down_blocks.{}", *level)
                                      : fmt::format("decoder.up_blocks.{}", levels - 1 - *level);
    if (name.take("block.")) {
        const auto j = name.index();
        return j ? fmt::format("{}.resnets.{}.{}", block, *j, replaced(name.rest, kVaeResnet)) : std::string();
    }
    if (name.take("downsample.conv.")) return fmt::format("{}.downsamplers.0.conv.{}", block, name.rest);
    if (name.take("upsample.conv.")) return fmt::format("{}.upsamplers.0.conv.{}", block, name.rest);
    return {};
}

}  // namespace

DiffusersLayout diffusers_layout(std::span<const StoredTensor> tensors) {
    DiffusersLayout layout;
    std::uint32_t last = 0, first_down = 0;
    for (const StoredTensor& t : tensors) {
        Cursor name{t.name};
        if (name.take("model.diffusion_model.input_blocks.")) {
            const auto block = name.index();
            if (!block) continue;
            last = std::max(last, *block);
            if (name.rest.starts_with("0.op.") && (first_down == 0 || *block < first_down)) first_down = *block;
        } else if (name.take("first_stage_model.decoder.up.")) {
            if (const auto level = name.index()) layout.levels = std::max(layout.levels, *level + 1);
        }
    }
    layout.resnets = first_down > 0 ? first_down - 1 : last;
    return layout;
}

std::string diffusers_name(std::string_view name, ModelPart part, const DiffusersLayout& layout) {
    std::string renamed;
    if (part == ModelPart::unet) renamed = unet_name(name, layout);
    if (part == ModelPart::vae) renamed = vae_name(name, layout.levels);
    if (part == ModelPart::text && !name.starts_with("text_model.") && !name.starts_with("text_projection."))
        renamed = fmt::format("text_model.{}", name);  // files older than transformers 4.0's naming
    return renamed.empty() ? std::string(name) : renamed;
}

}  // namespace pumice
