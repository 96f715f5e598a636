#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct AddByPush {
    std::uint32_t x_base, r_base, y_base, quads, params_index;
};

}  // namespace

TensorId add_by(Graph& g, TensorId x, TensorId r, TensorId params, std::uint32_t index) {
    if (!check_activations(g, "add_by", {x, r})) return {};
    const Shape shape = g.shape(x);
    Shape one = shape;
    one.n = 1;
    if (g.dtype(r) != g.dtype(x) || (g.shape(r) != shape && g.shape(r) != one))
        return fail(g, "add_by", describe(g, r) + " to " + describe(g, x));
    if (!params || g.dtype(params) != DType::f32 || index + shape.n > g.shape(params).elements())
        return fail(g, "add_by", "there are no parameters " + std::to_string(index) + " and on, one a picture");
    const TensorId y = g.transient(shape, g.dtype(x));
    const std::uint64_t quads = shape.tokens() * shape.c / 4;
    const double flops = 8;
    Node node{label(g, "add_by"), {}};
    for (std::uint32_t n = 0; n < shape.n; ++n)
        for_pieces(quads, quads_per_dispatch(g, quads, flops), [&](std::uint64_t first, std::uint64_t count) {
            RowBindings b(g);
            AddByPush push{};
            push.quads = static_cast<std::uint32_t>(count);
            push.params_index = index + n;
            push.x_base = b.rows(x, n * quads + first, count, 4, Access::read);
            push.r_base = b.rows(r, (g.shape(r).n == 1 ? 0 : n * quads) + first, count, 4, Access::read);
            b.whole(params, Access::read);
            push.y_base = b.rows(y, n * quads + first, count, 4, Access::write);
            node.dispatches.push_back(make_dispatch(module_name("add_by", {name_of(g.dtype(x))}), {}, std::move(b),
                                                    push, spread(g, divide_up(count, kQuadWorkgroup)),
                                                    flops * double(count)));
        });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
