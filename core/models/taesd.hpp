// The tiny autoencoder of Stable Diffusion (madebyollin/taesd): previews, and pictures in a hurry.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "models/weight_set.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// Where a half's tensors are: those of layer i of the original's nn.Sequential are "{prefix}{i - shift}.".
struct TaesdHalf {
    std::string prefix;
    std::uint32_t shift = 0;
    std::uint32_t channels = 0;         ///< of its layers: 64
    std::uint32_t latent_channels = 0;  ///< 4
};

/// A half found by its tensors: in a file of its own (taesd_decoder.safetensors, taesd_encoder.pth), or of both, with
/// the names of the original or of diffusers' AutoencoderTiny. SD 1 and XL have weights of their own that look alike.
std::optional<TaesdHalf> find_taesd_encoder(const WeightFile&);
std::optional<TaesdHalf> find_taesd_decoder(const WeightFile&);

/// The decoder's first layer: 3 tanh(x / 3). On the host, where the one use of it needs no operator.
void taesd_clamp(std::span<float> latent);
/// Latent {1, h, w, 4} as the UNet has it, not divided by the scaling factor, but clamped → {1, 8h, 8w, 4}: RGB from 0 to
/// 1 and a little beyond, f32. `weights` are those under the half's prefix.
TensorId taesd_decode(Graph&, WeightSet& weights, const TaesdHalf&, TensorId latent);
/// {1, 8h, 8w, 4}, RGB from 0 to 1 → latent {1, h, w, 4} as the UNet has it, f32.
TensorId taesd_encode(Graph&, WeightSet& weights, const TaesdHalf&, TensorId image);

}  // namespace pumice
