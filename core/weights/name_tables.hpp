// Names of layers in diffusers' folders beside those in single files: read both ways, by names.cpp and
// diffusers_names.cpp. As diffusers' scripts/convert_original_stable_diffusion_to_diffusers.py has them.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace pumice::name_tables {

/// Reads a name from the left.
struct Cursor {
    std::string_view rest;

    bool take(std::string_view part) {
        if (!rest.starts_with(part)) return false;
        rest.remove_prefix(part.size());
        return true;
    }
    /// "12." → 12
    std::optional<std::uint32_t> index() {
        std::uint32_t n = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
        if (error != std::errc() || end == rest.data() + rest.size() || *end != '.' || n > 1000) return std::nullopt;
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
        return n;
    }
};

/// diffusers', the original's.
using Pair = std::pair<std::string_view, std::string_view>;

inline constexpr Pair kUnetOutside[] = {{"time_embedding.linear_1.", "time_embed.0."},
                                        {"time_embedding.linear_2.", "time_embed.2."},
                                        {"add_embedding.linear_1.", "label_emb.0.0."},
                                        {"add_embedding.linear_2.", "label_emb.0.2."},
                                        {"conv_in.", "input_blocks.0.0."},
                                        {"conv_norm_out.", "out.0."},
                                        {"conv_out.", "out.2."}};
inline constexpr Pair kUnetResnet[] = {{"norm1.", "in_layers.0."},          {"conv1.", "in_layers.2."},
                                       {"norm2.", "out_layers.0."},         {"conv2.", "out_layers.3."},
                                       {"time_emb_proj.", "emb_layers.1."}, {"conv_shortcut.", "skip_connection."}};

inline constexpr Pair kVaeAttention[] = {
    {"group_norm.", "norm."}, {"query.", "q."}, {"key.", "k."},  {"value.", "v."},          {"proj_attn.", "proj_out."},
    {"to_q.", "q."},          {"to_k.", "k."},  {"to_v.", "v."}, {"to_out.0.", "proj_out."}};
inline constexpr Pair kVaeResnet[] = {{"conv_shortcut.", "nin_shortcut."}};

}  // namespace pumice::name_tables
