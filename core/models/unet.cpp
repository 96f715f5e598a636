#include "models/unet.hpp"

#include <algorithm>
#include <vector>

#include "ops/ops.hpp"

namespace pumice {
namespace {

constexpr float kResBlockEps = 1e-5f;
constexpr float kTransformerEps = 1e-6f;

/// What every part needs, so that the formulas below stay short.
struct Builder {
    Graph& g;
    WeightSet& weights;
    std::uint32_t heads;
    TensorId silu_emb;  // {n,1,1,4*model_channels} f32: silu of the time embedding
    TensorId context;
    std::uint32_t head_channels = 0;
    bool perturbed = false;  // of the block being built: self-attention is the identity

    TensorId linear(const std::string& name, TensorId x, ops::LinearOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::linear(g, x, weights.linear(g, name + ".weight"), options);
    }
    TensorId conv(const std::string& name, TensorId x, ops::Conv2dOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::conv2d(g, x, weights.conv(g, name + ".weight"), options);
    }
    TensorId group_norm(const std::string& name, TensorId x, float eps, bool silu) {
        return ops::group_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"),
                               {.groups = 32, .eps = eps, .silu = silu});
    }
    TensorId layer_norm(const std::string& name, TensorId x) {
        return ops::layer_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"));
    }

    TensorId res_block(const std::string& name, TensorId x) {
        const TensorId emb = linear(name + ".emb_layers.1", silu_emb, {.f32_output = true});
        TensorId h = group_norm(name + ".in_layers.0", x, kResBlockEps, true);
        h = conv(name + ".in_layers.2", h, {.channel_add = emb});
        h = group_norm(name + ".out_layers.0", h, kResBlockEps, true);
        const TensorId skip = weights.has(name + ".skip_connection.weight") ? linear(name + ".skip_connection", x) : x;
        return conv(name + ".out_layers.3", h, {.residual = skip});
    }

    TensorId cross_attention(const std::string& name, TensorId x, TensorId keys, TensorId residual) {
        const TensorId q = linear(name + ".to_q", x);
        const TensorId k = linear(name + ".to_k", keys);
        const TensorId v = linear(name + ".to_v", keys);
        const std::uint32_t count = head_channels && q ? g.shape(q).c / head_channels : heads;
        return linear(name + ".to_out.0", ops::attention(g, q, k, v, {.heads = count}), {.residual = residual});
    }

    /// Each token attends to itself alone: what it gets is its own value.
    TensorId identity_attention(const std::string& name, TensorId x, TensorId residual) {
        return linear(name + ".to_out.0", linear(name + ".to_v", x), {.residual = residual});
    }

    TensorId transformer_block(const std::string& name, TensorId x) {
        TensorId h = layer_norm(name + ".norm1", x);
        x = perturbed ? identity_attention(name + ".attn1", h, x) : cross_attention(name + ".attn1", h, h, x);
        h = layer_norm(name + ".norm2", x);
        x = cross_attention(name + ".attn2", h, context, x);
        h = layer_norm(name + ".norm3", x);
        const Weight& proj = weights.geglu(g, name + ".ff.net.0.proj.weight");
        h = ops::linear(g, h, proj, {.bias = weights.geglu_bias(g, name + ".ff.net.0.proj.bias")});
        return linear(name + ".ff.net.2", h, {.residual = x});
    }

    TensorId spatial_transformer(const std::string& name, TensorId x) {
        TensorId h = group_norm(name + ".norm", x, kTransformerEps, false);
        h = linear(name + ".proj_in", h);
        for (int i = 0; weights.has(name + ".transformer_blocks." + std::to_string(i) + ".norm1.weight"); ++i)
            h = transformer_block(name + ".transformer_blocks." + std::to_string(i), h);
        return linear(name + ".proj_out", h, {.residual = x});
    }

    /// Runs the members of a block in order, each recognized by its tensors. `up` is the size an upsampling member
    /// brings the picture to.
    TensorId block(const std::string& name, TensorId x, const Shape* up = nullptr) {
        g.set_scope("unet." + name);
        for (int i = 0;; ++i) {
            const std::string member = name + "." + std::to_string(i);
            if (weights.has(member + ".in_layers.2.weight")) x = res_block(member, x);
            else if (weights.has(member + ".proj_in.weight")) x = spatial_transformer(member, x);
            else if (weights.has(member + ".op.weight")) x = conv(member + ".op", x, {.stride = 2});
            else if (weights.has(member + ".conv.weight") && up)
                x = conv(member + ".conv", ops::upsample_nearest(g, x, up->h, up->w));
            else if (weights.has(member + ".weight")) x = conv(member, x);
            else return x;
        }
    }
};

}  // namespace

TensorId unet(Graph& g, WeightSet& weights, const UnetInputs& in, std::uint32_t heads, const BlockHook& hook) {
    const auto report = [&](const std::string& name, TensorId id) {
        if (hook) hook(name, id);
    };
    Builder b{g, weights, heads, {}, in.context, in.head_channels};
    const auto block = [&](const std::string& name, TensorId x, const Shape* up = nullptr) {
        b.perturbed = std::find(in.perturbed.begin(), in.perturbed.end(), name) != in.perturbed.end();
        return b.block(name, x, up);
    };
    const auto with_residuals = [&](const std::string& name, TensorId x, bool to_output) {
        for (const UnetResidual& r : in.residuals) {
            if (r.block != name || r.to_output != to_output) continue;
            g.set_scope(r.from + ": " + name);
            x = ops::add_by(g, x, r.tensor, r.params, r.index);
        }
        return x;
    };

    g.set_scope("unet.time_embed");
    const Weight& first = weights.linear(g, "time_embed.0.weight");
    TensorId emb = ops::timestep_embedding(g, in.timesteps, g.shape(in.x).n, first.k);
    emb = b.linear("time_embed.0", emb, {.activation = ops::Activation::silu, .f32_output = true});
    emb = b.linear("time_embed.2", emb, {.f32_output = true});
    report("time_embed", emb);
    if (weights.has("label_emb.0.0.weight")) {
        g.set_scope("unet.label_emb");
        const TensorId h =
            b.linear("label_emb.0.0", in.vector, {.activation = ops::Activation::silu, .f32_output = true});
        emb = b.linear("label_emb.0.2", h, {.residual = emb, .f32_output = true});
    }
    b.silu_emb = ops::activation(g, emb, ops::Activation::silu);

    std::vector<TensorId> skips;
    TensorId h = in.x;
    const auto exists = [&](const std::string& name) { return weights.has_prefix(name + "."); };
    for (int i = 0; exists("input_blocks." + std::to_string(i)); ++i) {
        const std::string name = "input_blocks." + std::to_string(i);
        h = with_residuals(name, block(name, h), true);
        skips.push_back(with_residuals(name, h, false));
        report(name, h);
    }
    h = block("middle_block", h);
    h = with_residuals("middle_block", with_residuals("middle_block", h, true), false);
    report("middle_block", h);
    for (int i = 0; exists("output_blocks." + std::to_string(i)) && !skips.empty(); ++i) {
        const std::string name = "output_blocks." + std::to_string(i);
        g.set_scope("unet." + name);
        h = ops::concat(g, h, skips.back());
        skips.pop_back();
        if (g.error()) return {};  // h may be no tensor, and has no shape then
        const Shape up = skips.empty() ? g.shape(h) : g.shape(skips.back());
        h = block(name, h, &up);
        report(name, h);
    }
    g.set_scope("unet.out");
    h = b.group_norm("out.0", h, kResBlockEps, true);
    h = b.conv("out.2", h, {.f32_output = true});
    g.set_scope({});
    return h;
}

}  // namespace pumice
