// The geometry of a Stable Diffusion 1.x checkpoint: what the builders of text encoder, UNet and VAE need to know.
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
Family recognize(const WeightFile&);

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
    std::uint32_t heads = 8;              ///< of every transformer
    std::vector<UnetBlock> input_blocks;  ///< the output of each is a skip
    UnetBlock middle_block;
    std::vector<UnetBlock> output_blocks;  ///< each first joins the last skip left, after the current channels
    /// Downsamplings: the latent's sides need not divide by 2 to this power, but the UNet halves them so often.
    std::uint32_t levels() const;
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

struct TextConfig {
    /// "cond_stage_model.transformer.text_model.", or without "text_model." in older files.
    std::string prefix = "cond_stage_model.transformer.text_model.";
    std::uint32_t width = 768, layers = 12, heads = 12, ff_channels = 3072;
    std::uint32_t vocabulary = 49408, positions = 77;
    friend bool operator==(const TextConfig&, const TextConfig&) = default;
};

struct Sd1Config {
    UnetConfig unet;
    VaeConfig vae;
    TextConfig text;
    bool v_prediction = false;  ///< the UNet predicts v instead of the noise
    friend bool operator==(const Sd1Config&, const Sd1Config&) = default;
};

/// One tensor that a checkpoint of a geometry has.
struct TensorSpec {
    std::string name;
    std::vector<std::uint64_t> shape;
    WeightUse use = WeightUse::linear;
};

std::vector<TensorSpec> expected_tensors(const UnetConfig&);
std::vector<TensorSpec> expected_tensors(const VaeConfig&);
std::vector<TensorSpec> expected_tensors(const TextConfig&);
/// Of all three.
std::vector<TensorSpec> expected_tensors(const Sd1Config&);

/// Infers the geometry of a single-file SD 1.x checkpoint from the names and shapes of its tensors, for any widths,
/// depths, levels and places of attention, and checks every tensor. What shapes do not tell follows the family's rule
/// (8 heads in the UNet, heads of 64 in CLIP, eps prediction) or the file's metadata (`pumice.config`, else
/// `tiny_config`: see config_from_json).
/// Code::unsupported names another family; Code::bad_format names the missing or misshapen tensor with the shape
/// expected and the one found.
Result<Sd1Config> sd1_config(const WeightFile&);

/// A geometry from the hyperparameters of the original configuration files:
/// {"kind": "sd1", "prediction": "eps"|"v",
///  "unet": {model_channels, channel_mult: [], num_res_blocks, attention_resolutions: [], num_heads,
///           transformer_depth, context_dim, in_channels, out_channels},
///  "vae": {ch, ch_mult: [], num_res_blocks, z_channels, scale_factor},
///  "text": {width, layers, heads, intermediate, vocab, context_length}}
/// What is absent is SD 1.5's ("{}" is SD 1.5). Code::bad_format or Code::invalid_argument, naming the key and
/// prefixed with `where`.
Result<Sd1Config> config_from_json(std::string_view json, const std::string& where);

/// Widths divisible by the norms' groups and by the heads, consistent channels: Code::unsupported with the layer.
Status check_config(const Sd1Config&);

/// One line a part: "UNet: 320-640-1280-1280 channels, …".
std::string describe(const UnetConfig&);
std::string describe(const VaeConfig&);
std::string describe(const TextConfig&);

}  // namespace pumice
