// The geometry of a Stable Diffusion 1, 2 or XL checkpoint: what the builders of text encoder, UNet and VAE need to know.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/weight_file.hpp"
#include "weights/weight_plan.hpp"

namespace pumice {

/// What a weight file holds, by the names of its tensors.
enum class Family : std::uint8_t {
    sd1,
    sd1_inpainting,
    sd1_edit,
    sd2,
    sdxl,
    sdxl_refiner,
    sd3,
    flux,
    diffusers,
    control_net,
    lora,
    embedding,
    upscaler,
    vae_only,
    unknown
};
/// "Stable Diffusion 1.x".
const char* to_string(Family);
/// "sd1", "sd2", "sdxl": which share their noise levels and text encoders, as plugins know them.
const char* family_group(Family);
Family recognize(const WeightFile&);
/// Whether this version makes pictures with it.
bool runs(Family);

inline constexpr std::string_view kUnetPrefix = "model.diffusion_model.";
inline constexpr std::string_view kVaePrefix = "first_stage_model.";

/// Norms have 32 groups throughout; the weights do not record it.
inline constexpr std::uint32_t kGroups = 32;

enum class LayerKind : std::uint8_t { conv, res, transformer, downsample, upsample };

/// One element of a UNet block; its tensors are kUnetPrefix + name + ".…".
struct UnetLayer {
    LayerKind kind = LayerKind::conv;
    std::string name;               ///< "input_blocks.1.0"
    std::uint32_t in_channels = 0;  ///< of an output block's first layer: current channels plus the skip's
    std::uint32_t out_channels = 0;
    // Transformers only:
    std::uint32_t depth = 0;        ///< transformer_blocks
    std::uint32_t ff_channels = 0;  ///< inner width of the feed-forward: values, and as many gates
    /// A ResBlock has skip_connection when its channels change.
    bool has_skip() const { return kind == LayerKind::res && in_channels != out_channels; }
    friend bool operator==(const UnetLayer&, const UnetLayer&) = default;
};
using UnetBlock = std::vector<UnetLayer>;

struct UnetConfig {
    std::uint32_t in_channels = 4, out_channels = 4;
    std::uint32_t model_channels = 320;
    std::uint32_t time_channels = 1280;  ///< of the time embedding
    std::uint32_t context_channels = 768;
    std::uint32_t heads = 8;              ///< of every transformer, when head_channels is 0 (SD 1)
    std::uint32_t head_channels = 0;      ///< of each head (SD 2 and XL: 64)
    std::uint32_t vector_channels = 0;    ///< of label_emb's input (SD XL: pooled text and sizes); 0: it has none
    bool linear_projections = false;      ///< proj_in and proj_out are linear layers, not 1x1 convolutions: as files have it
    std::vector<UnetBlock> input_blocks;  ///< the output of each is a skip
    UnetBlock middle_block;
    /// middle_block may be empty: distilled models go without.
    std::vector<UnetBlock> output_blocks;  ///< each first joins the last skip left, after the current channels
    /// Downsamplings: the latent's sides need not divide by 2 to this power, but the UNet halves them so often.
    std::uint32_t levels() const;
    std::uint32_t heads_of(std::uint32_t channels) const { return head_channels ? channels / head_channels : heads; }
    friend bool operator==(const UnetConfig&, const UnetConfig&) = default;
};

struct VaeBlock {
    std::uint32_t in_channels = 0, out_channels = 0;
    bool has_shortcut() const { return in_channels != out_channels; }  ///< nin_shortcut
    friend bool operator==(const VaeBlock&, const VaeBlock&) = default;
};

struct VaeLevel {
    std::vector<VaeBlock> blocks;
    bool resample = false;  ///< downsample.conv in the encoder, upsample.conv in the decoder, comes last
    friend bool operator==(const VaeLevel&, const VaeLevel&) = default;
};

struct VaeConfig {
    std::uint32_t image_channels = 3;
    std::uint32_t z_channels = 4;       ///< of the decoder's input and half the encoder's output
    std::uint32_t latent_channels = 4;  ///< outside of quant_conv and post_quant_conv
    std::uint32_t channels = 128;       ///< at full size
    std::uint32_t mid_channels = 512;   ///< in mid, whose attention has one head
    std::vector<VaeLevel> down;         ///< encoder.down.i, run from 0
    std::vector<VaeLevel> up;           ///< decoder.up.i, run from the last to 0
    double scaling_factor = 0.18215;
    /// Pixels a latent element stands for, along a side (8).
    std::uint32_t factor() const;
    friend bool operator==(const VaeConfig&, const VaeConfig&) = default;
};

/// Whose names and habits a text encoder has.
enum class TextLayout : std::uint8_t {
    clip,       ///< transformers' CLIPTextModel: quick GELU, padded with the end token
    open_clip,  ///< open_clip's: q, k and v in one tensor, exact GELU, padded with 0
    bert,       ///< transformers' BertModel, which Taiyi reads Chinese with: models/bert_encoder.hpp
};

/// Which of an encoder's states the UNet attends to.
enum class TextOutput : std::uint8_t {
    last_normed,         ///< after the last layer (or clip skip's), through the final norm: SD 1
    penultimate_normed,  ///< after the last but one, through the final norm: SD 2
    penultimate,         ///< after the last but one, as it is: SD XL
};

struct TextConfig {
    /// "cond_stage_model.transformer.text_model.", or without "text_model." in older files;
    /// "conditioner.embedders.1.model.".
    std::string prefix = "cond_stage_model.transformer.text_model.";
    TextLayout layout = TextLayout::clip;
    TextOutput output = TextOutput::last_normed;
    std::uint32_t width = 768, layers = 12, heads = 12, ff_channels = 3072;
    std::uint32_t vocabulary = 49408, positions = 77;
    std::uint32_t projection = 0;  ///< channels of the pooled state, made with text_projection; 0: none is taken
    friend bool operator==(const TextConfig&, const TextConfig&) = default;
};

struct ModelConfig {
    Family family = Family::sd1;
    UnetConfig unet;
    VaeConfig vae;
    std::vector<TextConfig> text{TextConfig{}};  ///< the context is their states side by side, in this order
    bool v_prediction = false;        ///< the UNet predicts v instead of the noise
    bool zero_terminal_snr = false;   ///< trained up to pure noise (Lin et al. 2023, arXiv 2305.08891)
    std::uint32_t context_channels() const;  ///< of all text encoders
    std::uint32_t pooled_channels() const;   ///< of the encoder that has a projection, or 0
    /// Sinusoidal numbers beside the pooled state in the UNet's vector: 6 for XL (original size, crop, target size), 5
    /// for its refiner (original size, crop, aesthetic score).
    std::uint32_t vector_sizes() const;
    friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// Channels each number of the vector becomes.
inline constexpr std::uint32_t kSizeChannels = 256;

/// One tensor that a checkpoint of a geometry has.
struct TensorSpec {
    std::string name;
    std::vector<std::uint64_t> shape;
    WeightUse use = WeightUse::linear;
};

/// The text encoders of a family: prefixes, layouts and what is taken of their states; sizes as published.
std::vector<TextConfig> text_forms(Family);

std::vector<TensorSpec> expected_tensors(const UnetConfig&);
std::vector<TensorSpec> expected_tensors(const VaeConfig&);
std::vector<TensorSpec> expected_tensors(const TextConfig&);
/// Of all three.
std::vector<TensorSpec> expected_tensors(const ModelConfig&);

/// Infers the geometry of a single-file checkpoint of SD 1, 2, XL or XL's refiner from the names and shapes of its
/// tensors, for any widths, depths, levels and places of attention, and checks every tensor. What shapes do not tell
/// follows the family's rule (8 heads in SD 1's UNet, heads of 64 elsewhere, eps prediction), from marks that files
/// carry (`v_pred`, `ztsnr`; SD 2's v models by their last attention norm), or from the metadata (`pumice.config`, else
/// `tiny_config`: see config_from_json; `modelspec.prediction_type`).
/// Code::unsupported names another family; Code::bad_format names the missing or misshapen tensor with the shape
/// expected and the one found.
Result<ModelConfig> model_config(const WeightFile&);

/// A geometry from the hyperparameters of the original configuration files:
/// {"kind": "sd1"|"sd2"|"sdxl"|"sdxl_refiner", "prediction": "eps"|"v", "zero_terminal_snr": true|false,
///  "unet": {model_channels, channel_mult: [], num_res_blocks, attention_resolutions: [], num_heads or
///           num_head_channels, transformer_depth (a number, or one a level), transformer_depth_middle, context_dim,
///           adm_in_channels, use_linear_in_transformer, in_channels, out_channels},
///  "vae": {ch, ch_mult: [], num_res_blocks, z_channels, scale_factor},
///  "text" (XL: "text_l" and "text_g", its refiner: "text_g"): {width, layers, heads, intermediate, vocab,
///           context_length, projection_dim}}
/// What is absent is the kind's own ("{}" is SD 1.5). Code::bad_format or Code::invalid_argument, naming the key and
/// prefixed with `where`.
Result<ModelConfig> config_from_json(std::string_view json, const std::string& where);

/// Widths divisible by the norms' groups and by the heads, consistent channels: Code::unsupported with the layer.
Status check_config(const ModelConfig&);

/// One line a part: "UNet: 320-640-1280-1280 channels, …".
std::string describe(const UnetConfig&);
std::string describe(const VaeConfig&);
std::string describe(const TextConfig&);

}  // namespace pumice
