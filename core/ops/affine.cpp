#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct AffinePush {
    std::uint32_t x_base, y_base, quads, first, channel_quads, params_base;
};

}  // namespace

Shape affine_params_shape(const Shape& x) {
    return {x.n, 1, 4, x.c};
}

TensorId affine(Graph& g, TensorId x, TensorId params, TensorId out) {
    if (!check_activations(g, "affine", {x})) return {};
    const Shape shape = g.shape(x);
    if (g.dtype(x) != DType::f32 || (out && (g.shape(out) != shape || g.dtype(out) != DType::f32)))
        return fail(g, "affine", "of " + describe(g, x) + ": must be f32, as its output");
    if (!params || g.dtype(params) != DType::f32 || g.shape(params) != affine_params_shape(shape))
        return fail(g, "affine", "the parameters of " + describe(g, x) + " must be f32 of affine_params_shape");
    const TensorId y = out ? out : g.transient(shape, DType::f32);
    const std::uint64_t quads = shape.tokens() * shape.c / 4;
    const double flops = 16;
    Node node{label(g, "affine"), {}};
    for (std::uint32_t n = 0; n < shape.n; ++n)
        for_pieces(quads, quads_per_dispatch(g, quads, flops), [&](std::uint64_t first, std::uint64_t count) {
            RowBindings b(g);
            AffinePush push{};
            push.quads = static_cast<std::uint32_t>(count);
            push.first = static_cast<std::uint32_t>(first);
            push.channel_quads = shape.c / 4;
            push.x_base = b.rows(x, n * quads + first, count, 4, Access::read);
            push.params_base = b.rows(params, std::uint64_t(n) * shape.c, shape.c, 4, Access::read);
            push.y_base = b.rows(y, n * quads + first, count, 4, Access::write);
            node.dispatches.push_back(make_dispatch(
                "affine", {}, std::move(b), push, spread(g, divide_up(count, kQuadWorkgroup)), flops * double(count)));
        });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
