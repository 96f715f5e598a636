// BERT as a text encoder (Devlin et al. 2019, arXiv 1810.04805): that of Taiyi Stable Diffusion, which reads Chinese.
#pragma once

#include <cstdint>

#include "graph/graph.hpp"
#include "models/configs.hpp"
#include "models/weight_set.hpp"

namespace pumice {

/// tokens i32 {n,1,T,1}, T up to config.positions → hidden states {n,1,T,width} in the activation type: the last
/// layer's, or with `clip_skip` above 1 that of the layer so many less one before. All tokens are of the first type,
/// and all are attended to, padding too, as the pipeline of diffusers does it. `more` is ops::EmbeddingOptions'.
TensorId bert_encoder(Graph&, WeightSet&, TensorId tokens, const TextConfig&, std::uint32_t clip_skip = 1,
                      TensorId more = {});

}  // namespace pumice
