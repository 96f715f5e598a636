#include "models/configs.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pumice {
namespace {

using Shape4 = std::vector<std::uint64_t>;

/// Collects specs under a prefix, in the shapes of the layers that checkpoints are made of.
struct Specs {
    std::vector<TensorSpec> list{};

    void vector(const std::string& name, std::uint64_t n) { list.push_back({name, {n}, WeightUse::vector}); }
    void norm(const std::string& name, std::uint64_t n) {
        vector(name + ".weight", n);
        vector(name + ".bias", n);
    }
    void linear(const std::string& name, std::uint64_t n, std::uint64_t k, bool bias = true) {
        list.push_back({name + ".weight", {n, k}, WeightUse::linear});
        if (bias) vector(name + ".bias", n);
    }
    void geglu(const std::string& name, std::uint64_t n, std::uint64_t k) {
        list.push_back({name + ".weight", {2 * n, k}, WeightUse::geglu});
        list.push_back({name + ".bias", {2 * n}, WeightUse::geglu_vector});
    }
    void conv(const std::string& name, std::uint64_t n, std::uint64_t k, std::uint64_t side) {
        list.push_back({name + ".weight", {n, k, side, side}, WeightUse::conv});
        vector(name + ".bias", n);
    }
    void table(const std::string& name, std::uint64_t n, std::uint64_t k) {
        list.push_back({name + ".weight", {n, k}, WeightUse::table});
    }
};

void add_res_block(Specs& s, const std::string& name, const UnetLayer& l, std::uint64_t time) {
    s.norm(name + ".in_layers.0", l.in_channels);
    s.conv(name + ".in_layers.2", l.out_channels, l.in_channels, 3);
    s.linear(name + ".emb_layers.1", l.out_channels, time);
    s.norm(name + ".out_layers.0", l.out_channels);
    s.conv(name + ".out_layers.3", l.out_channels, l.out_channels, 3);
    if (l.has_skip()) s.conv(name + ".skip_connection", l.out_channels, l.in_channels, 1);
}

void add_attention(Specs& s, const std::string& name, std::uint64_t c, std::uint64_t context) {
    s.linear(name + ".to_q", c, c, false);
    s.linear(name + ".to_k", c, context, false);
    s.linear(name + ".to_v", c, context, false);
    s.linear(name + ".to_out.0", c, c);
}

void add_transformer(Specs& s, const std::string& name, const UnetLayer& l, std::uint64_t context, bool linear) {
    const std::uint64_t c = l.in_channels;
    const auto projection = [&](const std::string& part) { linear ? s.linear(part, c, c) : s.conv(part, c, c, 1); };
    s.norm(name + ".norm", c);
    projection(name + ".proj_in");
    for (std::uint32_t i = 0; i < l.depth; ++i) {
        const std::string block = fmt::format("{}.transformer_blocks.{}", name, i);
        add_attention(s, block + ".attn1", c, c);
        add_attention(s, block + ".attn2", c, context);
        s.geglu(block + ".ff.net.0.proj", l.ff_channels, c);
        s.linear(block + ".ff.net.2", c, l.ff_channels);
        for (const char* norm : {".norm1", ".norm2", ".norm3"}) s.norm(block + norm, c);
    }
    projection(name + ".proj_out");
}

void add_block(Specs& s, const UnetConfig& unet, const UnetBlock& block) {
    for (const UnetLayer& l : block) {
        const std::string name = std::string(kUnetPrefix) + l.name;
        switch (l.kind) {
            case LayerKind::conv:
                s.conv(name, l.out_channels, l.in_channels, 3);
                break;
            case LayerKind::res:
                add_res_block(s, name, l, unet.time_channels);
                break;
            case LayerKind::transformer:
                add_transformer(s, name, l, unet.context_channels, unet.linear_projections);
                break;
            case LayerKind::downsample:
                s.conv(name + ".op", l.out_channels, l.in_channels, 3);
                break;
            case LayerKind::upsample:
                s.conv(name + ".conv", l.out_channels, l.in_channels, 3);
                break;
        }
    }
}

void add_vae_block(Specs& s, const std::string& name, const VaeBlock& b) {
    s.norm(name + ".norm1", b.in_channels);
    s.conv(name + ".conv1", b.out_channels, b.in_channels, 3);
    s.norm(name + ".norm2", b.out_channels);
    s.conv(name + ".conv2", b.out_channels, b.out_channels, 3);
    if (b.has_shortcut()) s.conv(name + ".nin_shortcut", b.out_channels, b.in_channels, 1);
}

void add_vae_mid(Specs& s, const std::string& name, std::uint32_t c) {
    add_vae_block(s, name + ".block_1", {c, c});
    s.norm(name + ".attn_1.norm", c);
    for (const char* part : {".attn_1.q", ".attn_1.k", ".attn_1.v", ".attn_1.proj_out"}) s.conv(name + part, c, c, 1);
    add_vae_block(s, name + ".block_2", {c, c});
}

void add_vae_levels(Specs& s, const std::string& name, const std::vector<VaeLevel>& levels, const char* resample) {
    for (std::size_t i = 0; i < levels.size(); ++i) {
        for (std::size_t j = 0; j < levels[i].blocks.size(); ++j)
            add_vae_block(s, fmt::format("{}.{}.block.{}", name, i, j), levels[i].blocks[j]);
        const std::uint32_t c = levels[i].blocks.empty() ? 0 : levels[i].blocks.back().out_channels;
        if (levels[i].resample) s.conv(fmt::format("{}.{}.{}", name, i, resample), c, c, 3);
    }
}

/// "1 head", "2 heads".
std::string counted(std::uint64_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

Error not_supported(const std::string& what) {
    return {Code::unsupported, what};
}

Status check_normed(const std::string& name, std::uint32_t channels) {
    if (channels > 0 && channels % kGroups == 0) return {};
    return not_supported(
        fmt::format("{} has {} channels, which {} norm groups do not divide", name, channels, kGroups));
}

Status check_heads(const std::string& name, std::uint32_t channels, std::uint32_t heads) {
    if (heads > 0 && channels % heads == 0 && channels / heads % 4 == 0) return {};
    return not_supported(
        fmt::format("{} has {} channels, which cannot be {} heads of a multiple of 4", name, channels, heads));
}

Status check_blocks(const UnetConfig& unet, const std::vector<UnetBlock>& blocks) {
    for (const UnetBlock& block : blocks)
        for (const UnetLayer& l : block) {
            if (l.kind != LayerKind::conv) PUMICE_TRY(check_normed(l.name, l.in_channels));
            PUMICE_TRY(check_normed(l.name, l.out_channels));
            if (l.kind == LayerKind::transformer) PUMICE_TRY(check_heads(l.name, l.in_channels, unet.heads_of(l.in_channels)));
        }
    return {};
}

Status check_levels(const std::string& name, const std::vector<VaeLevel>& levels) {
    for (const VaeLevel& level : levels)
        for (const VaeBlock& b : level.blocks) {
            PUMICE_TRY(check_normed(name, b.in_channels));
            PUMICE_TRY(check_normed(name, b.out_channels));
        }
    return {};
}

bool any_name_contains(const WeightFile& file, std::string_view part) {
    return std::any_of(file.tensors().begin(), file.tensors().end(),
                       [&](const StoredTensor& t) { return t.name.find(part) != std::string::npos; });
}

/// Of a file that has a UNet in the original naming.
Family recognize_unet(const WeightFile& file) {
    const auto axis = [&](const char* name, std::size_t rank, std::size_t index) -> std::uint64_t {
        const StoredTensor* t = file.find(name);
        return t && t->shape.size() == rank ? t->shape[index] : 0;
    };
    if (file.has_prefix("model.diffusion_model.label_emb."))
        // The refiner has one text encoder, 1280 wide, where XL has 2048 of two.
        return axis("model.diffusion_model.label_emb.0.0.weight", 2, 1) == 2560 ? Family::sdxl_refiner : Family::sdxl;
    // The context's width tells the text encoder: 768 CLIP-L (and narrower, trained small), 1024 OpenCLIP-H.
    const char* const key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    const char* const middle = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    if (!file.has_prefix("cond_stage_model.") && (axis(key, 2, 1) == 1024 || axis(middle, 2, 1) == 1024))
        return Family::sd2;
    const std::uint64_t in = axis("model.diffusion_model.input_blocks.0.0.weight", 4, 1);
    return in == 9 ? Family::sd1_inpainting : in == 8 ? Family::sd1_edit : Family::sd1;
}

}  // namespace

const char* to_string(Family family) {
    switch (family) {
        case Family::sd1:
            return "Stable Diffusion 1.x";
        case Family::sd1_inpainting:
            return "Stable Diffusion 1.x inpainting";
        case Family::sd1_edit:
            return "Stable Diffusion 1.x InstructPix2Pix";
        case Family::sd2:
            return "Stable Diffusion 2.x";
        case Family::sdxl:
            return "Stable Diffusion XL";
        case Family::sdxl_refiner:
            return "Stable Diffusion XL refiner";
        case Family::sd3:
            return "Stable Diffusion 3";
        case Family::flux:
            return "Flux";
        case Family::diffusers:
            return "one part of a model in the diffusers layout";
        case Family::control_net:
            return "ControlNet";
        case Family::lora:
            return "LoRA";
        case Family::embedding:
            return "textual inversion embedding";
        case Family::upscaler:
            return "upscaler";
        case Family::vae_only:
            return "autoencoder (VAE) alone";
        case Family::unknown:
            break;
    }
    return "unknown";
}

const char* family_group(Family family) {
    switch (family) {
        case Family::sd2:
            return "sd2";
        case Family::sdxl:
        case Family::sdxl_refiner:
            return "sdxl";
        default:
            return "sd1";
    }
}

Family recognize(const WeightFile& file) {
    const auto has = [&](std::string_view prefix) { return file.has_prefix(prefix); };
    if (has("model.diffusion_model.joint_blocks.")) return Family::sd3;
    if (has("model.diffusion_model.double_blocks.") || has("double_blocks.")) return Family::flux;
    if (has("conditioner.embedders.0.model.")) return Family::sdxl_refiner;
    if (has("conditioner.embedders.")) return Family::sdxl;
    if (has("cond_stage_model.model.")) return Family::sd2;
    if (has("control_model.") || has("controlnet_cond_embedding.")) return Family::control_net;
    if (has(kUnetPrefix)) return recognize_unet(file);
    if (has("lora_") || any_name_contains(file, ".lora_")) return Family::lora;
    if (has("down_blocks.") || has("text_model.")) return Family::diffusers;
    if (has("emb_params") || has("clip_l")) return Family::embedding;
    if (has("conv_first.") || has("body.0.") || has("model.1.sub.")) return Family::upscaler;
    if (has(kVaePrefix) || has("decoder.conv_in.") || has("encoder.conv_in.")) return Family::vae_only;
    return Family::unknown;
}

std::vector<TextConfig> text_forms(Family family) {
    const TextConfig clip{};
    TextConfig h{.prefix = "cond_stage_model.model.",
                 .layout = TextLayout::open_clip,
                 .output = TextOutput::penultimate_normed,
                 .width = 1024,
                 .layers = 24,
                 .heads = 16,
                 .ff_channels = 4096};
    TextConfig l = clip;
    l.prefix = "conditioner.embedders.0.transformer.text_model.";
    l.output = TextOutput::penultimate;
    TextConfig g{.prefix = "conditioner.embedders.1.model.",
                 .layout = TextLayout::open_clip,
                 .output = TextOutput::penultimate,
                 .width = 1280,
                 .layers = 32,
                 .heads = 20,
                 .ff_channels = 5120,
                 .projection = 1280};
    if (family == Family::sd2) return {h};
    if (family == Family::sdxl) return {l, g};
    if (family == Family::sdxl_refiner) {
        g.prefix = "conditioner.embedders.0.model.";
        return {g};
    }
    return {clip};
}

bool runs(Family family) {
    switch (family) {
        case Family::sd1:
        case Family::sd1_inpainting:
        case Family::sd1_edit:
        case Family::sd2:
        case Family::sdxl:
        case Family::sdxl_refiner:
            return true;
        default:
            return false;
    }
}

std::uint32_t ModelConfig::context_channels() const {
    std::uint32_t sum = 0;
    for (const TextConfig& t : text) sum += t.width;
    return sum;
}

std::uint32_t ModelConfig::pooled_channels() const {
    std::uint32_t channels = 0;
    for (const TextConfig& t : text) channels += t.projection;
    return channels;
}

std::uint32_t ModelConfig::vector_sizes() const {
    return family == Family::sdxl ? 6 : family == Family::sdxl_refiner ? 5 : 0;
}

std::uint32_t UnetConfig::levels() const {
    std::uint32_t n = 0;
    for (const UnetBlock& block : input_blocks)
        n += static_cast<std::uint32_t>(std::count_if(
            block.begin(), block.end(), [](const UnetLayer& l) { return l.kind == LayerKind::downsample; }));
    return n;
}

std::uint32_t VaeConfig::factor() const {
    std::uint32_t factor = 1;
    for (const VaeLevel& level : up) factor *= level.resample ? 2 : 1;
    return factor;
}

std::vector<TensorSpec> expected_tensors(const UnetConfig& unet) {
    Specs s;
    const std::string prefix(kUnetPrefix);
    s.linear(prefix + "time_embed.0", unet.time_channels, unet.model_channels);
    s.linear(prefix + "time_embed.2", unet.time_channels, unet.time_channels);
    if (unet.vector_channels > 0) {
        s.linear(prefix + "label_emb.0.0", unet.time_channels, unet.vector_channels);
        s.linear(prefix + "label_emb.0.2", unet.time_channels, unet.time_channels);
    }
    for (const UnetBlock& block : unet.input_blocks) add_block(s, unet, block);
    add_block(s, unet, unet.middle_block);
    for (const UnetBlock& block : unet.output_blocks) add_block(s, unet, block);
    s.norm(prefix + "out.0", unet.model_channels);
    s.conv(prefix + "out.2", unet.out_channels, unet.model_channels, 3);
    return std::move(s.list);
}

std::vector<TensorSpec> expected_tensors(const VaeConfig& vae) {
    Specs s;
    const std::string encoder = std::string(kVaePrefix) + "encoder", decoder = std::string(kVaePrefix) + "decoder";
    s.conv(encoder + ".conv_in", vae.channels, vae.image_channels, 3);
    add_vae_levels(s, encoder + ".down", vae.down, "downsample.conv");
    add_vae_mid(s, encoder + ".mid", vae.mid_channels);
    s.norm(encoder + ".norm_out", vae.mid_channels);
    s.conv(encoder + ".conv_out", 2 * vae.z_channels, vae.mid_channels, 3);
    s.conv(std::string(kVaePrefix) + "quant_conv", 2 * vae.latent_channels, 2 * vae.z_channels, 1);
    s.conv(std::string(kVaePrefix) + "post_quant_conv", vae.z_channels, vae.latent_channels, 1);
    s.conv(decoder + ".conv_in", vae.mid_channels, vae.z_channels, 3);
    add_vae_mid(s, decoder + ".mid", vae.mid_channels);
    add_vae_levels(s, decoder + ".up", vae.up, "upsample.conv");
    s.norm(decoder + ".norm_out", vae.channels);
    s.conv(decoder + ".conv_out", vae.image_channels, vae.channels, 3);
    return std::move(s.list);
}

namespace {

void add_clip(Specs& s, const TextConfig& text) {
    s.table(text.prefix + "embeddings.token_embedding", text.vocabulary, text.width);
    s.table(text.prefix + "embeddings.position_embedding", text.positions, text.width);
    for (std::uint32_t i = 0; i < text.layers; ++i) {
        const std::string layer = fmt::format("{}encoder.layers.{}", text.prefix, i);
        s.norm(layer + ".layer_norm1", text.width);
        for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
            s.linear(layer + ".self_attn." + part, text.width, text.width);
        s.norm(layer + ".layer_norm2", text.width);
        s.linear(layer + ".mlp.fc1", text.ff_channels, text.width);
        s.linear(layer + ".mlp.fc2", text.width, text.ff_channels);
    }
    s.norm(text.prefix + "final_layer_norm", text.width);
}

void add_bert(Specs& s, const TextConfig& text) {
    const std::uint32_t width = text.width, inner = text.ff_channels;
    const std::string p = text.prefix;
    s.table(p + "embeddings.word_embeddings", text.vocabulary, width);
    s.table(p + "embeddings.position_embeddings", text.positions, width);
    s.norm(p + "embeddings.LayerNorm", width);
    for (std::uint32_t i = 0; i < text.layers; ++i) {
        const std::string layer = fmt::format("{}encoder.layer.{}.", p, i);
        for (const char* part : {"attention.self.query", "attention.self.key", "attention.self.value",
                                 "attention.output.dense"})
            s.linear(layer + part, width, width);
        s.norm(layer + "attention.output.LayerNorm", width);
        s.linear(layer + "intermediate.dense", inner, width);
        s.linear(layer + "output.dense", width, inner);
        s.norm(layer + "output.LayerNorm", width);
    }
}

void add_open_clip(Specs& s, const TextConfig& text) {
    s.table(text.prefix + "token_embedding", text.vocabulary, text.width);
    s.list.push_back({text.prefix + "positional_embedding", {text.positions, text.width}, WeightUse::table});
    for (std::uint32_t i = 0; i < text.layers; ++i) {
        const std::string layer = fmt::format("{}transformer.resblocks.{}", text.prefix, i);
        s.norm(layer + ".ln_1", text.width);
        s.list.push_back({layer + ".attn.in_proj_weight", {3ull * text.width, text.width}, WeightUse::linear});
        s.vector(layer + ".attn.in_proj_bias", 3ull * text.width);
        s.linear(layer + ".attn.out_proj", text.width, text.width);
        s.norm(layer + ".ln_2", text.width);
        s.linear(layer + ".mlp.c_fc", text.ff_channels, text.width);
        s.linear(layer + ".mlp.c_proj", text.width, text.ff_channels);
    }
    s.norm(text.prefix + "ln_final", text.width);
    if (text.projection > 0)
        s.list.push_back({text.prefix + "text_projection", {text.width, text.projection}, WeightUse::table});
}

}  // namespace

std::vector<TensorSpec> expected_tensors(const TextConfig& text) {
    Specs s;
    switch (text.layout) {
        case TextLayout::clip:
            add_clip(s, text);
            break;
        case TextLayout::open_clip:
            add_open_clip(s, text);
            break;
        case TextLayout::bert:
            add_bert(s, text);
            break;
    }
    return std::move(s.list);
}

std::vector<TensorSpec> expected_tensors(const ModelConfig& config) {
    std::vector<TensorSpec> all;
    for (const TextConfig& text : config.text) {
        const std::vector<TensorSpec> part = expected_tensors(text);
        all.insert(all.end(), part.begin(), part.end());
    }
    for (const auto& part : {expected_tensors(config.unet), expected_tensors(config.vae)})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

Status check_config(const ModelConfig& config) {
    const UnetConfig& unet = config.unet;
    PUMICE_TRY(check_normed("UNet", unet.model_channels));
    PUMICE_TRY(check_blocks(unet, unet.input_blocks));
    PUMICE_TRY(check_blocks(unet, {unet.middle_block}));
    PUMICE_TRY(check_blocks(unet, unet.output_blocks));
    const VaeConfig& vae = config.vae;
    PUMICE_TRY(check_normed("VAE", vae.channels));
    PUMICE_TRY(check_normed("VAE mid", vae.mid_channels));
    PUMICE_TRY(check_levels("VAE encoder", vae.down));
    PUMICE_TRY(check_levels("VAE decoder", vae.up));
    for (const TextConfig& text : config.text) PUMICE_TRY(check_heads("text encoder", text.width, text.heads));
    if (unet.context_channels != config.context_channels())
        return not_supported(fmt::format("the UNet takes a context of {} channels, but the text encoder has {}",
                                         unet.context_channels, config.context_channels()));
    const std::uint32_t vector = config.pooled_channels() + config.vector_sizes() * kSizeChannels;
    if (unet.vector_channels != vector)
        return not_supported(fmt::format("the UNet takes a vector of {} channels, but {} has {}", unet.vector_channels,
                                         to_string(config.family), vector));
    const std::uint32_t latent = vae.latent_channels;
    const bool in = unet.in_channels == latent || unet.in_channels == 2 * latent || unet.in_channels == 2 * latent + 1;
    if (!in || unet.out_channels != latent)
        return not_supported(fmt::format("the UNet has {} channels in and {} out, but the VAE's latent has {}",
                                         unet.in_channels, unet.out_channels, latent));
    return {};
}

std::string describe(const UnetConfig& unet) {
    std::vector<std::uint32_t> widths;
    std::uint32_t width = unet.model_channels, attention = 0;
    for (const UnetBlock& block : unet.input_blocks)
        for (const UnetLayer& l : block) {
            if (l.kind == LayerKind::downsample) widths.push_back(width);
            if (l.kind == LayerKind::transformer) ++attention;
            width = l.out_channels;
        }
    widths.push_back(width);
    const std::string heads =
        unet.head_channels ? fmt::format("heads of {}", unet.head_channels) : counted(unet.heads, "head");
    const std::string in = unet.in_channels == unet.out_channels ? "" : fmt::format(", {} in", unet.in_channels);
    const std::string vector = unet.vector_channels ? fmt::format(", vector {}", unet.vector_channels) : "";
    return fmt::format("UNet: {} channels{}, {} input and {} output blocks, {} of the input blocks with attention, {}, "
                       "context {}{}",
                       fmt::join(widths, "-"), in, unet.input_blocks.size(), unet.output_blocks.size(), attention,
                       heads, unet.context_channels, vector);
}

std::string describe(const VaeConfig& vae) {
    std::vector<std::uint32_t> widths;
    for (const VaeLevel& level : vae.down)
        if (!level.blocks.empty()) widths.push_back(level.blocks.back().out_channels);
    return fmt::format("VAE: {} channels, {} a level, latent of {}, 1/{} of the side, scaling factor {}",
                       fmt::join(widths, "-"), counted(vae.down.empty() ? 0 : vae.down[0].blocks.size(), "block"),
                       counted(vae.latent_channels, "channel"), vae.factor(), vae.scaling_factor);
}

std::string describe(const TextConfig& text) {
    return fmt::format("{}: {} wide, {}, {}, {}, {}",
                       text.layout == TextLayout::clip ? "Text encoder" : "Text encoder (OpenCLIP)", text.width,
                       counted(text.layers, "layer"), counted(text.heads, "head"), counted(text.vocabulary, "token"),
                       counted(text.positions, "position"));
}

}  // namespace pumice
