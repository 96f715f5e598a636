// The autoencoder of Stable Diffusion (AutoencoderKL; Rombach et al. 2022, arXiv 2112.10752), built from the names in
// the checkpoint.
#pragma once

#include "graph/graph.hpp"
#include "models/weight_set.hpp"

namespace pumice {

/// z {n,h,w,4}, not scaled (latent / scaling_factor) → picture {n,8h,8w,4} in about -1…1, fourth channel 0, f32.
TensorId vae_decode(Graph&, WeightSet&, TensorId z);

/// Picture {n,h,w,4} in -1…1, activation type, fourth channel 0 → moments {n,h/8,w/8,8}, f32: mean, then log variance
/// (not clamped), not scaled.
TensorId vae_encode(Graph&, WeightSet&, TensorId image);

}  // namespace pumice
