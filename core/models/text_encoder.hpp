// The CLIP text encoders of Stable Diffusion (Radford et al. 2021, arXiv 2103.00020): OpenAI's, and open_clip's.
#pragma once

#include <vector>

#include "graph/graph.hpp"
#include "models/configs.hpp"
#include "models/weight_set.hpp"

namespace pumice {

struct TextEncoderOptions {
    /// 1: all layers; 2: without the last; and so on. Where the family takes the last layer but one (TextOutput), 1 and
    /// 2 mean that one.
    std::uint32_t clip_skip = 1;
    std::vector<TensorId>* hidden = nullptr;  ///< receives the input of layer 0, then each layer's output (no final norm)
    TensorId more_embeddings{};               ///< f32 {1,1,rows,width}: the tokens from config.vocabulary on
    TensorId* last_normed = nullptr;          ///< receives all layers' output after the final norm, for pooling
};

/// tokens i32 {n,1,77,1} → hidden states {n,1,77,width} as config.output says, in the activation type.
TensorId text_encoder(Graph&, WeightSet&, TensorId tokens, const TextConfig&, const TextEncoderOptions& = {});

}  // namespace pumice
