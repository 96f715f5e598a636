#include "models/taesd.hpp"

#include <cmath>

#include "base/exact_math.hpp"
#include "ops/ops.hpp"

namespace pumice {
namespace {

/// Layers of the original's Sequential: their numbers are those of its tensors.
struct Builder {
    Graph& g;
    WeightSet& weights;
    const TaesdHalf& half;
    const char* scope;
    std::uint32_t at = 0;  ///< the next layer

    std::string name(std::uint32_t layer) const { return std::to_string(layer - half.shift); }

    TensorId conv_of(const std::string& name, TensorId x, ops::Conv2dOptions options) {
        g.set_scope(std::string(scope) + "." + name);
        options.bias = weights.bias(g, name + ".bias");
        return ops::conv2d(g, x, weights.conv(g, name + ".weight"), options);
    }
    TensorId conv(TensorId x, ops::Conv2dOptions options = {}) { return conv_of(name(at++), x, options); }

    TensorId block(TensorId x) {
        const std::string layer = name(at++);
        TensorId h = conv_of(layer + ".conv.0", x, {.activation = ops::Activation::relu});
        h = conv_of(layer + ".conv.2", h, {.activation = ops::Activation::relu});
        h = conv_of(layer + ".conv.4", h, {.residual = x});
        return ops::activation(g, h, ops::Activation::relu);
    }
    TensorId blocks(TensorId x, int count) {
        for (int i = 0; i < count; ++i) x = block(x);
        return x;
    }
    TensorId upsampled(TensorId x) {
        ++at;  // nn.Upsample
        return conv(x ? ops::upsample_nearest(g, x, 2 * g.shape(x).h, 2 * g.shape(x).w) : x);
    }
};

/// The half whose layer `first` is a convolution from `in` channels and is followed by a block, and whose layer `last`
/// gives `out`.
std::optional<TaesdHalf> find(const WeightFile& file, const std::string& prefix, std::uint32_t shift, bool decoder) {
    const auto layer = [&](std::uint32_t i, const char* rest) {
        return file.find(prefix + std::to_string(i - shift) + rest);
    };
    const StoredTensor* const first = layer(decoder ? 1 : 0, ".weight");
    const StoredTensor* const last = layer(decoder ? 19 : 14, ".weight");
    const StoredTensor* const block = layer(decoder ? 3 : 1, ".conv.0.weight");
    if (!first || !last || !block || first->shape.size() != 4 || last->shape.size() != 4) return std::nullopt;
    const std::uint64_t width = first->shape[0], latent = decoder ? first->shape[1] : last->shape[0];
    const std::uint64_t colours = decoder ? last->shape[0] : first->shape[1];
    if (colours != 3 || last->shape[1] != width || width > 4096 || latent > 64) return std::nullopt;
    return TaesdHalf{prefix, shift, static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(latent)};
}

}  // namespace

std::optional<TaesdHalf> find_taesd_encoder(const WeightFile& file) {
    for (const char* prefix : {"", "encoder.", "encoder.layers.", "taesd_encoder."})
        if (auto half = find(file, prefix, 0, false)) return half;
    return std::nullopt;
}

std::optional<TaesdHalf> find_taesd_decoder(const WeightFile& file) {
    for (const char* prefix : {"", "decoder.", "taesd_decoder."})
        if (auto half = find(file, prefix, 0, true)) return half;
    // Without the clamp, which has no tensors, as its first layer.
    return find(file, "decoder.layers.", 1, true);
}

void taesd_clamp(std::span<float> latent) {
    // 3 tanh(x / 3) = 3 (1 - e) / (1 + e), e = exp(-2 |x| / 3), with the sign of x.
    for (float& x : latent) {
        const double e = exact::exp(std::fabs(double(x)) * (-2.0 / 3.0));
        x = static_cast<float>(std::copysign(3 * (1 - e) / (1 + e), double(x)));
    }
}

TensorId taesd_decode(Graph& g, WeightSet& weights, const TaesdHalf& half, TensorId latent) {
    Builder b{g, weights, half, "taesd.decoder", 1};  // after the clamp
    TensorId h = b.conv(latent, {.activation = ops::Activation::relu});
    ++b.at;  // the ReLU
    for (int level = 0; level < 3; ++level) h = b.upsampled(b.blocks(h, 3));
    h = b.conv(b.block(h), {.f32_output = true});
    g.set_scope({});
    return h;
}

TensorId taesd_encode(Graph& g, WeightSet& weights, const TaesdHalf& half, TensorId image) {
    Builder b{g, weights, half, "taesd.encoder"};
    TensorId h = b.block(b.conv(image));
    for (int level = 0; level < 3; ++level) h = b.blocks(b.conv(h, {.stride = 2}), 3);
    h = b.conv(h, {.f32_output = true});
    g.set_scope({});
    return h;
}

}  // namespace pumice
