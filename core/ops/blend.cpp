#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct BlendPush {
    std::uint32_t a_base, b_base, mask_base, y_base, quads;
};

}  // namespace

TensorId blend(Graph& g, TensorId a, TensorId b, TensorId mask, TensorId out) {
    if (!check_activations(g, "blend", {a, b, mask})) return {};
    const Shape shape = g.shape(a);
    for (const TensorId t : {a, b, mask})
        if (g.shape(t) != shape || g.dtype(t) != DType::f32)
            return fail(g, "blend", describe(g, t) + " beside " + describe(g, a));
    if (out && (g.shape(out) != shape || g.dtype(out) != DType::f32))
        return fail(g, "blend", "output " + describe(g, out) + " of terms " + describe(g, a));
    const TensorId y = out ? out : g.transient(shape, DType::f32);
    const std::uint64_t quads = shape.elements() / 4;
    Node node{label(g, "blend"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, 16), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings bound(g);
        BlendPush push{0, 0, 0, 0, static_cast<std::uint32_t>(count)};
        push.a_base = bound.rows(a, first, count, 4, Access::read);
        push.b_base = bound.rows(b, first, count, 4, Access::read);
        push.mask_base = bound.rows(mask, first, count, 4, Access::read);
        push.y_base = bound.rows(y, first, count, 4, Access::write);
        node.dispatches.push_back(make_dispatch("blend", {}, std::move(bound), push,
                                                spread(g, divide_up(count, kQuadWorkgroup)), 16.0 * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
