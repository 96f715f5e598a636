#include "weights/names.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "weights/name_tables.hpp"

namespace pumice {
namespace {

using namespace name_tables;

/// The first of `pairs` whose first member starts the rest, replaced by the second; otherwise the rest as it is.
template <std::size_t N>
std::string replaced(std::string_view rest, const Pair (&pairs)[N]) {
    for (const auto& [from, to] : pairs)
        if (rest.starts_with(from)) return fmt::format("{}{}", to, rest.substr(from.size()));
    return std::string(rest);
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return name.starts_with(p); });
}

// ---- UNet ----

/// What the numbers of blocks in the original depend on.
struct UnetLayout {
    std::uint32_t resnets = 0;               ///< of a down block; an up block has one more
    std::set<std::uint32_t> with_attention;  ///< up blocks
};

UnetLayout unet_layout(const std::vector<StoredTensor>& tensors) {
    UnetLayout layout;
    for (const StoredTensor& t : tensors) {
        Cursor name{t.name};
        if (name.take("down_blocks.")) {
            const auto block = name.index();
            if (!block || !name.take("resnets.")) continue;
            if (const auto n = name.index()) layout.resnets = std::max(layout.resnets, *n + 1);
        } else if (name.take("up_blocks.")) {
            const auto block = name.index();
            if (block && name.rest.starts_with("attentions.")) layout.with_attention.insert(*block);
        }
    }
    return layout;
}

/// In a block of diffusers: "resnets.J.…", "attentions.J.…", "downsamplers.0.conv.…" or "upsamplers.0.conv.…".
std::string unet_block(Cursor name, std::uint32_t block, bool down, const UnetLayout& layout) {
    const std::uint32_t step = layout.resnets + 1;
    const std::string_view list = down ? "input_blocks" : "output_blocks";
    const std::uint32_t first = down ? 1 + block * step : block * step;
    if (name.take("resnets.")) {
        const auto j = name.index();
        return j ? fmt::format("{}.{}.0.{}", list, first + *j, replaced(name.rest, kUnetResnet)) : std::string();
    }
    if (name.take("attentions.")) {
        const auto j = name.index();
        return j ? fmt::format("{}.{}.1.{}", list, first + *j, name.rest) : std::string();
    }
    if (down && name.take("downsamplers.0.conv."))
        return fmt::format("input_blocks.{}.0.op.{}", (block + 1) * step, name.rest);
    if (!down && name.take("upsamplers.0.conv."))
        return fmt::format("output_blocks.{}.{}.conv.{}", first + layout.resnets,
                           layout.with_attention.count(block) > 0 ? 2 : 1, name.rest);
    return {};
}

std::string unet_name(std::string_view full, const UnetLayout& layout) {
    Cursor name{full};
    const bool down = name.take("down_blocks.");
    if (down || name.take("up_blocks.")) {
        const auto block = name.index();
        return block ? unet_block(name, *block, down, layout) : std::string();
    }
    if (name.take("mid_block.resnets.")) {
        const auto j = name.index();
        return j ? fmt::format("middle_block.{}.{}", 2 * *j, replaced(name.rest, kUnetResnet)) : std::string();
    }
    if (name.take("mid_block.attentions.")) {
        const auto j = name.index();
        return j ? fmt::format("middle_block.{}.{}", 2 * *j + 1, name.rest) : std::string();
    }
    return replaced(full, kUnetOutside);
}

// ---- VAE ----

/// Up blocks are numbered from the deepest in diffusers, and from the picture in the original.
std::uint32_t vae_levels(const std::vector<StoredTensor>& tensors) {
    std::uint32_t levels = 0;
    for (const StoredTensor& t : tensors) {
        Cursor name{t.name};
        if (!name.take("decoder.up_blocks.")) continue;
        if (const auto n = name.index()) levels = std::max(levels, *n + 1);
    }
    return levels;
}

std::string vae_name(std::string_view full, std::uint32_t levels) {
    Cursor name{full};
    const bool encoder = name.take("encoder.");
    if (!encoder && !name.take("decoder.")) return std::string(full);
    const std::string_view half = encoder ? "encoder" : "decoder";
    if (name.take("mid_block.resnets.")) {
        const auto j = name.index();
        return j ? fmt::format("{}.mid.block_{}.{}", half, *j + 1, replaced(name.rest, kVaeResnet)) : std::string();
    }
    if (name.take("mid_block.attentions.0."))
        return fmt::format("{}.mid.attn_1.{}", half, replaced(name.rest, kVaeAttention));
    if (name.take("conv_norm_out.")) return fmt::format("{}.norm_out.{}", half, name.rest);
    if (!name.take(encoder ? "down_blocks." : "up_blocks.")) return std::string(full);
    const auto block = name.index();
    if (!block) return {};
    const std::string level =
        encoder ? fmt::format("encoder.down.{}", *block) : fmt::format("decoder.up.{}", levels - 1 - *block);
    if (name.take("resnets.")) {
        const auto j = name.index();
        return j ? fmt::format("{}.block.{}.{}", level, *j, replaced(name.rest, kVaeResnet)) : std::string();
    }
    if (name.take("downsamplers.0.conv.")) return fmt::format("{}.downsample.conv.{}", level, name.rest);
    if (name.take("upsamplers.0.conv.")) return fmt::format("{}.upsample.conv.{}", level, name.rest);
    return {};
}

// ---- Any part ----

constexpr std::string_view kUnetPrefixes[] = {"model.diffusion_model.", "diffusion_model.", "unet."};
constexpr std::string_view kVaePrefixes[] = {"first_stage_model.", "vae."};
constexpr std::string_view kModule = "module.";  // PyTorch's DataParallel
constexpr std::string_view kTextPrefixes[] = {"cond_stage_model.transformer.", "text_encoder.", "transformer."};

/// The prefix before a part's names, when a file has tensors under one of them.
template <std::size_t N>
std::string_view present(const std::vector<StoredTensor>& tensors, const std::string_view (&prefixes)[N]) {
    for (const std::string_view prefix : prefixes)
        if (std::any_of(tensors.begin(), tensors.end(),
                        [&](const StoredTensor& t) { return t.name.starts_with(prefix); }))
            return prefix;
    return {};
}

std::string_view present(const std::vector<StoredTensor>& tensors, ModelPart part) {
    switch (part) {
        case ModelPart::unet:
            return present(tensors, kUnetPrefixes);
        case ModelPart::vae:
            return present(tensors, kVaePrefixes);
        case ModelPart::text:
            return present(tensors, kTextPrefixes);
    }
    return {};
}

}  // namespace

std::string_view part_prefix(ModelPart part) {
    switch (part) {
        case ModelPart::unet:
            return kUnetPrefixes[0];
        case ModelPart::vae:
            return kVaePrefixes[0];
        case ModelPart::text:
            break;
    }
    return kTextPrefixes[0];
}

std::vector<StoredTensor> as_single_file(std::vector<StoredTensor> tensors, ModelPart part) {
    if (const std::string_view prefix = present(tensors, part); !prefix.empty()) {
        std::vector<StoredTensor> inside;
        for (StoredTensor& t : tensors) {
            if (!t.name.starts_with(prefix)) continue;
            t.name.erase(0, prefix.size());
            inside.push_back(std::move(t));
        }
        tensors = std::move(inside);
    }
    const UnetLayout layout = part == ModelPart::unet ? unet_layout(tensors) : UnetLayout{};
    const std::uint32_t levels = part == ModelPart::vae ? vae_levels(tensors) : 0;
    for (StoredTensor& t : tensors) {
        std::string name = t.name;
        if (part == ModelPart::unet) name = unet_name(t.name, layout);
        if (part == ModelPart::vae) name = vae_name(t.name, levels);
        if (part == ModelPart::text && starts_with_any(name, {"embeddings.", "encoder.", "final_layer_norm."}))
            name.insert(0, "text_model.");
        t.name = fmt::format("{}{}", part_prefix(part), name.empty() ? t.name : name);
    }
    return tensors;
}

void strip_common_prefixes(std::vector<StoredTensor>& tensors) {
    const bool all = !tensors.empty() && std::all_of(tensors.begin(), tensors.end(),
                                                     [](const StoredTensor& t) { return t.name.starts_with(kModule); });
    if (!all) return;
    for (StoredTensor& t : tensors) t.name.erase(0, kModule.size());
}

}  // namespace pumice
