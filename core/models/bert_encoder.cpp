#include "models/bert_encoder.hpp"

#include <string>

#include <fmt/format.h>

#include "ops/ops.hpp"

namespace pumice {
namespace {

constexpr float kNormEps = 1e-12f;

struct Builder {
    Graph& g;
    WeightSet& weights;
    const TextConfig& config;
    TensorId more;

    TensorId linear(const std::string& name, TensorId x, ops::LinearOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::linear(g, x, weights.linear(g, name + ".weight"), options);
    }
    TensorId layer_norm(const std::string& name, TensorId x) {
        return ops::layer_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"), kNormEps);
    }

    TensorId embeddings(TensorId tokens) {
        g.set_scope("text.embeddings");
        const TensorId x =
            ops::embedding(g, tokens, weights.table(g, "embeddings.word_embeddings.weight"),
                           weights.table(g, "embeddings.position_embeddings.weight"),
                           {.common = &weights.table(g, "embeddings.token_type_embeddings.weight"), .more = more});
        return layer_norm("embeddings.LayerNorm", x);
    }

    /// Norms come after the sums, unlike CLIP's.
    TensorId layer(std::uint32_t index, TensorId x) {
        const std::string name = "encoder.layer." + std::to_string(index);
        g.set_scope("text." + name);
        const std::string attention = name + ".attention.self.";
        const TensorId q = linear(attention + "query", x), k = linear(attention + "key", x);
        const TensorId v = linear(attention + "value", x);
        TensorId h = ops::attention(g, q, k, v, {.heads = config.heads});
        x = layer_norm(name + ".attention.output.LayerNorm",
                       linear(name + ".attention.output.dense", h, {.residual = x}));
        h = linear(name + ".intermediate.dense", x, {.activation = ops::Activation::gelu});
        return layer_norm(name + ".output.LayerNorm", linear(name + ".output.dense", h, {.residual = x}));
    }
};

}  // namespace

TensorId bert_encoder(Graph& g, WeightSet& weights, TensorId tokens, const TextConfig& config, std::uint32_t clip_skip,
                      TensorId more) {
    if (clip_skip < 1 || clip_skip > config.layers) {
        g.fail({Code::invalid_argument, fmt::format("clip skip {} with a text encoder of {} layers: use 1 to {}",
                                                    clip_skip, config.layers, config.layers)});
        return {};
    }
    Builder b{g, weights, config, more};
    TensorId x = b.embeddings(tokens);
    for (std::uint32_t i = 0; i + clip_skip <= config.layers; ++i) x = b.layer(i, x);
    g.set_scope({});
    return x;
}

}  // namespace pumice
