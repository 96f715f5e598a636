// The autoencoder of Stable Diffusion (AutoencoderKL; Rombach et al. 2022, arXiv 2112.10752), built from the names in
// the checkpoint.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "models/weight_set.hpp"

namespace pumice {

inline constexpr float kVaeNormEps = 1e-6f;
inline constexpr std::uint32_t kVaeNormGroups = 32;

/// z {n,h,w,4}, not scaled (latent / scaling_factor) → picture {n,8h,8w,4} in about -1…1, fourth channel 0, f32.
TensorId vae_decode(Graph&, WeightSet&, TensorId z);

/// The decoder in two parts. The first ends with the blocks of `level`, of which vae_levels() is the middle and 0 the last,
/// where the second has nothing but the end to do; a level halves the size of those below it.
int vae_levels(const WeightSet&);
TensorId vae_decode_first(Graph&, WeightSet&, TensorId z, int level);
/// What a part of a picture is normed by, and what it would add to that.
struct VaeNorms {
    std::vector<TensorId> tables = {};      ///< GroupNormOptions::table of each norm; empty: each part's own statistics
    std::vector<TensorId> statistics = {};  ///< made: of each norm, as ops::group_norm_statistics
    std::vector<Shape> shapes = {};         ///< made: what each normed
    std::vector<std::string> names = {};    ///< made
};
TensorId vae_decode_second(Graph&, WeightSet&, TensorId h, int level, VaeNorms* norms = nullptr);
/// How far, in pixels of the first part's result, what lies beside a pixel changes it.
std::uint32_t vae_second_reach(const WeightSet&, int level);

/// Picture {n,h,w,4} in -1…1, activation type, fourth channel 0 → moments {n,h/8,w/8,8}, f32: mean, then log variance
/// (not clamped), not scaled.
TensorId vae_encode(Graph&, WeightSet&, TensorId image);

}  // namespace pumice
