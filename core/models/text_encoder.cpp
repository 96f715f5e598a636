#include "models/text_encoder.hpp"

#include <string>

#include "ops/ops.hpp"

namespace pumice {
namespace {

struct Builder {
    Graph& g;
    WeightSet& weights;

    TensorId linear(const std::string& name, TensorId x, ops::LinearOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::linear(g, x, weights.linear(g, name + ".weight"), options);
    }
    TensorId layer_norm(const std::string& name, TensorId x) {
        return ops::layer_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"));
    }

    TensorId layer(const std::string& name, TensorId x, std::uint32_t heads) {
        g.set_scope("text." + name);
        TensorId h = layer_norm(name + ".layer_norm1", x);
        const TensorId q = linear(name + ".self_attn.q_proj", h);
        const TensorId k = linear(name + ".self_attn.k_proj", h);
        const TensorId v = linear(name + ".self_attn.v_proj", h);
        h = ops::attention(g, q, k, v, {.heads = heads, .causal = true});
        x = linear(name + ".self_attn.out_proj", h, {.residual = x});
        h = layer_norm(name + ".layer_norm2", x);
        h = linear(name + ".mlp.fc1", h, {.activation = ops::Activation::quick_gelu});
        return linear(name + ".mlp.fc2", h, {.residual = x});
    }
};

}  // namespace

std::uint32_t text_encoder_layers(const WeightSet& weights) {
    std::uint32_t count = 0;
    while (weights.has("encoder.layers." + std::to_string(count) + ".layer_norm1.weight")) ++count;
    return count;
}

TensorId text_encoder(Graph& g, WeightSet& weights, TensorId tokens, const TextEncoderOptions& options) {
    Builder b{g, weights};
    g.set_scope("text.embeddings");
    TensorId x = ops::embedding(g, tokens, weights.table(g, "embeddings.token_embedding.weight"),
                                weights.table(g, "embeddings.position_embedding.weight"));
    const auto report = [&](TensorId id) {
        if (options.hidden) options.hidden->push_back(id);
    };
    report(x);
    const std::uint32_t layers = text_encoder_layers(weights);
    if (options.clip_skip < 1 || options.clip_skip > layers) {
        g.fail({Code::invalid_argument, "clip skip " + std::to_string(options.clip_skip) + " with a text encoder of " +
                                            std::to_string(layers) + " layers: use 1 to " + std::to_string(layers)});
        return {};
    }
    for (std::uint32_t i = 0; i + options.clip_skip <= layers; ++i) {
        x = b.layer("encoder.layers." + std::to_string(i), x, options.heads);
        report(x);
    }
    g.set_scope("text.final_layer_norm");
    x = b.layer_norm("final_layer_norm", x);
    g.set_scope({});
    return x;
}

}  // namespace pumice
