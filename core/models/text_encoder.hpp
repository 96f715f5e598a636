// The CLIP text encoder of Stable Diffusion 1.x (Radford et al. 2021, arXiv 2103.00020).
#pragma once

#include <vector>

#include "graph/graph.hpp"
#include "models/weight_set.hpp"

namespace pumice {

struct TextEncoderOptions {
    std::uint32_t heads = 12;
    std::uint32_t clip_skip = 1;       ///< 1: all layers; 2: without the last; the final layer norm always applies
    std::vector<TensorId>* hidden = nullptr;  ///< receives the input of layer 0, then each layer's output (no final norm)
};

/// tokens i32 {n,1,77,1} → hidden states {n,1,77,width} after the final layer norm, in the activation type.
TensorId text_encoder(Graph&, WeightSet&, TensorId tokens, const TextEncoderOptions&);

/// Number of layers in the checkpoint.
std::uint32_t text_encoder_layers(const WeightSet&);

}  // namespace pumice
