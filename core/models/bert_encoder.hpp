// BERT as a text encoder (Devlin et al. 2019, arXiv 1810.04805): that of Taiyi Stable Diffusion, which reads Chinese.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "graph/graph.hpp"
#include "models/weight_set.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

struct BertConfig {
    std::uint32_t width = 768, layers = 12, heads = 12;
    std::uint32_t vocabulary = 21128, positions = 512;
    friend bool operator==(const BertConfig&, const BertConfig&) = default;
};

/// From the shapes of the tensors under `prefix` (names as transformers has them: "embeddings.word_embeddings.weight",
/// "encoder.layer.0.…"), heads being of 64 channels as in all published models. Code::bad_format naming what is
/// missing or does not fit.
Result<BertConfig> bert_config(const WeightFile&, const std::string& prefix);

/// tokens i32 {n,1,T,1}, T up to config.positions → hidden states {n,1,T,width} in the activation type: the last
/// layer's, or with `clip_skip` above 1 that of the layer so many less one before. All tokens are of the first type,
/// and all are attended to, padding too, as the pipeline of diffusers does it.
TensorId bert_encoder(Graph&, WeightSet&, TensorId tokens, const BertConfig&, std::uint32_t clip_skip = 1);

}  // namespace pumice
