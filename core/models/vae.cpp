#include "models/vae.hpp"

#include <string>

#include "ops/ops.hpp"

namespace pumice {
namespace {

struct Builder {
    Graph& g;
    WeightSet& weights;
    VaeNorms* norms = nullptr;

    TensorId linear(const std::string& name, TensorId x, ops::LinearOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::linear(g, x, weights.linear(g, name + ".weight"), options);
    }
    TensorId conv(const std::string& name, TensorId x, ops::Conv2dOptions options = {}) {
        options.bias = weights.bias(g, name + ".bias");
        return ops::conv2d(g, x, weights.conv(g, name + ".weight"), options);
    }
    TensorId group_norm(const std::string& name, TensorId x, bool silu) {
        ops::GroupNormOptions options{.groups = kVaeNormGroups, .eps = kVaeNormEps, .silu = silu};
        if (norms && x) {
            if (norms->shapes.size() < norms->tables.size()) options.table = norms->tables[norms->shapes.size()];
            norms->statistics.push_back(ops::group_norm_statistics(g, x));
            norms->shapes.push_back(g.shape(x));
            norms->names.push_back(name);
        }
        return ops::group_norm(g, x, weights.vector(g, name + ".weight"), weights.vector(g, name + ".bias"), options);
    }

    TensorId res_block(const std::string& name, TensorId x) {
        g.set_scope("vae." + name);
        TensorId h = conv(name + ".conv1", group_norm(name + ".norm1", x, true));
        h = group_norm(name + ".norm2", h, true);
        const TensorId skip = weights.has(name + ".nin_shortcut.weight") ? linear(name + ".nin_shortcut", x) : x;
        return conv(name + ".conv2", h, {.residual = skip});
    }

    TensorId attention(const std::string& name, TensorId x) {
        g.set_scope("vae." + name);
        const TensorId h = group_norm(name + ".norm", x, false);
        const TensorId q = linear(name + ".q", h), k = linear(name + ".k", h), v = linear(name + ".v", h);
        return linear(name + ".proj_out", ops::attention(g, q, k, v, {.heads = 1}), {.residual = x});
    }

    TensorId middle(const std::string& name, TensorId x) {
        x = res_block(name + ".block_1", x);
        x = attention(name + ".attn_1", x);
        return res_block(name + ".block_2", x);
    }

    TensorId res_blocks(const std::string& name, TensorId x) {
        for (int i = 0; weights.has(name + "." + std::to_string(i) + ".conv1.weight"); ++i)
            x = res_block(name + "." + std::to_string(i), x);
        return x;
    }

    TensorId upsample(int level, TensorId h) {
        const std::string name = "decoder.up." + std::to_string(level) + ".upsample";
        if (!weights.has(name + ".conv.weight") || !h) return h;
        g.set_scope("vae." + name);
        h = ops::upsample_nearest(g, h, 2 * g.shape(h).h, 2 * g.shape(h).w);
        return conv(name + ".conv", h);
    }

    int levels(const std::string& name) const {
        int count = 0;
        while (weights.has(name + "." + std::to_string(count) + ".block.0.conv1.weight")) ++count;
        return count;
    }
};

}  // namespace

int vae_levels(const WeightSet& weights) {
    int count = 0;
    while (weights.has("decoder.up." + std::to_string(count) + ".block.0.conv1.weight")) ++count;
    return count;
}

TensorId vae_decode(Graph& g, WeightSet& weights, TensorId z) {
    return vae_decode_second(g, weights, vae_decode_first(g, weights, z, 0), 0);
}

TensorId vae_decode_first(Graph& g, WeightSet& weights, TensorId z, int level) {
    Builder b{g, weights};
    g.set_scope("vae.post_quant_conv");
    TensorId h = b.linear("post_quant_conv", z);
    g.set_scope("vae.decoder.conv_in");
    h = b.conv("decoder.conv_in", h);
    h = b.middle("decoder.mid", h);
    for (int i = vae_levels(weights) - 1; i >= level; --i) {
        h = b.res_blocks("decoder.up." + std::to_string(i) + ".block", h);
        if (i > level) h = b.upsample(i, h);
    }
    g.set_scope({});
    return h;
}

TensorId vae_decode_second(Graph& g, WeightSet& weights, TensorId h, int level, VaeNorms* norms) {
    Builder b{g, weights, norms};
    for (int i = level - 1; i >= 0; --i) {
        if (i + 1 < vae_levels(weights)) h = b.upsample(i + 1, h);
        h = b.res_blocks("decoder.up." + std::to_string(i) + ".block", h);
    }
    if (level == 0 && vae_levels(weights) > 0) h = b.upsample(0, h);
    g.set_scope("vae.decoder.out");
    h = b.group_norm("decoder.norm_out", h, true);
    h = b.conv("decoder.conv_out", h, {.f32_output = true});
    g.set_scope({});
    return h;
}

std::uint32_t vae_second_reach(const WeightSet& weights, int level) {
    std::uint32_t reach = 1;  // conv_out
    for (int i = 0; i < level; ++i) {
        const std::string name = "decoder.up." + std::to_string(i);
        for (int k = 0; weights.has(name + ".block." + std::to_string(k) + ".conv1.weight"); ++k) reach += 2;
        if (weights.has("decoder.up." + std::to_string(i + 1) + ".upsample.conv.weight")) reach = (reach + 1) / 2 + 1;
    }
    return reach;
}

TensorId vae_encode(Graph& g, WeightSet& weights, TensorId image) {
    Builder b{g, weights};
    g.set_scope("vae.encoder.conv_in");
    TensorId h = b.conv("encoder.conv_in", image);
    const int levels = b.levels("encoder.down");
    for (int i = 0; i < levels; ++i) {
        const std::string level = "encoder.down." + std::to_string(i);
        h = b.res_blocks(level + ".block", h);
        if (!weights.has(level + ".downsample.conv.weight")) continue;
        g.set_scope("vae." + level + ".downsample");
        // Padded right and bottom only, unlike the UNet's.
        h = b.conv(level + ".downsample.conv", h, {.stride = 2, .pad_top = 0, .pad_left = 0});
    }
    h = b.middle("encoder.mid", h);
    g.set_scope("vae.encoder.out");
    h = b.group_norm("encoder.norm_out", h, true);
    h = b.conv("encoder.conv_out", h);
    h = b.linear("quant_conv", h, {.f32_output = true});
    g.set_scope({});
    return h;
}

}  // namespace pumice
