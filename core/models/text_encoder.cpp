#include "models/text_encoder.hpp"

#include <algorithm>
#include <string>

#include "models/bert_encoder.hpp"
#include "ops/ops.hpp"

namespace pumice {
namespace {

struct Builder {
    Graph& g;
    WeightSet& weights;
    const TextConfig& config;
    bool open = config.layout == TextLayout::open_clip;

    const char* name(const char* clip, const char* open_clip) const { return open ? open_clip : clip; }

    TensorId linear(const std::string& name, TensorId x, ops::LinearOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::linear(g, x, weights.linear(g, name + ".weight"), options);
    }
    TensorId layer_norm(const std::string& name, TensorId x) {
        return ops::layer_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"));
    }
    TensorId final_norm(TensorId x) {
        g.set_scope("text.final_layer_norm");
        return layer_norm(name("final_layer_norm", "ln_final"), x);
    }

    TensorId embeddings(TensorId tokens, TensorId more) {
        g.set_scope("text.embeddings");
        return ops::embedding(
            g, tokens, weights.table(g, name("embeddings.token_embedding.weight", "token_embedding.weight")),
            weights.table(g, name("embeddings.position_embedding.weight", "positional_embedding")), {.more = more});
    }

    TensorId clip_attention(const std::string& name, TensorId h) {
        const TensorId q = linear(name + ".q_proj", h), k = linear(name + ".k_proj", h), v = linear(name + ".v_proj", h);
        return ops::attention(g, q, k, v, {.heads = config.heads, .causal = true});
    }
    TensorId open_attention(const std::string& name, TensorId h) {
        const TensorId qkv = ops::linear(g, h, weights.linear(g, name + ".in_proj_weight"),
                                         {.bias = weights.bias(g, name + ".in_proj_bias")});
        const auto part = [&](std::uint32_t i) {
            return ops::slice_channels(g, qkv, i * config.width, config.width);
        };
        const TensorId q = part(0), k = part(1), v = part(2);
        return ops::attention(g, q, k, v, {.heads = config.heads, .causal = true});
    }

    TensorId layer(std::uint32_t index, TensorId x) {
        const std::string layer = name("encoder.layers.", "transformer.resblocks.") + std::to_string(index);
        const std::string attention = layer + name(".self_attn", ".attn");
        g.set_scope("text." + layer);
        TensorId h = layer_norm(layer + name(".layer_norm1", ".ln_1"), x);
        h = open ? open_attention(attention, h) : clip_attention(attention, h);
        x = linear(attention + ".out_proj", h, {.residual = x});
        h = layer_norm(layer + name(".layer_norm2", ".ln_2"), x);
        h = linear(layer + name(".mlp.fc1", ".mlp.c_fc"), h,
                   {.activation = open ? ops::Activation::gelu : ops::Activation::quick_gelu});
        return linear(layer + name(".mlp.fc2", ".mlp.c_proj"), h, {.residual = x});
    }
};

}  // namespace

TensorId text_encoder(Graph& g, WeightSet& weights, TensorId tokens, const TextConfig& config,
                      const TextEncoderOptions& options) {
    if (config.layout == TextLayout::bert)
        return bert_encoder(g, weights, tokens, config, options.clip_skip, options.more_embeddings);
    const std::uint32_t least = config.output == TextOutput::last_normed ? 1 : 2;
    const std::uint32_t skip = std::max(options.clip_skip, least);
    if (options.clip_skip < 1 || skip > config.layers) {
        g.fail({Code::invalid_argument, "clip skip " + std::to_string(options.clip_skip) + " with a text encoder of " +
                                            std::to_string(config.layers) + " layers: use 1 to " +
                                            std::to_string(config.layers)});
        return {};
    }
    Builder b{g, weights, config};
    TensorId x = b.embeddings(tokens, options.more_embeddings), output{};
    const auto report = [&](TensorId id) {
        if (options.hidden) options.hidden->push_back(id);
    };
    report(x);
    const std::uint32_t layers = options.last_normed ? config.layers : config.layers + 1 - skip;
    for (std::uint32_t i = 0; i < layers; ++i) {
        x = b.layer(i, x);
        report(x);
        if (i + skip == config.layers) output = x;
    }
    if (options.last_normed) *options.last_normed = b.final_norm(x);
    if (config.output != TextOutput::penultimate) output = b.final_norm(output);
    g.set_scope({});
    return output;
}

}  // namespace pumice
