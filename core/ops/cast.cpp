#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct CastPush {
    std::uint32_t x_base, y_base, quads;
};

}  // namespace

TensorId cast(Graph& g, TensorId x, DType dtype) {
    if (!x) return fail(g, "cast", "an input is missing");
    const DType from = g.dtype(x);
    if (from == dtype) return x;
    const bool known = (from == DType::f32 || from == DType::f16 || from == DType::bf16) &&
                       (dtype == DType::f32 || dtype == DType::f16);
    if (!known || g.shape(x).elements() % 4 != 0) return fail(g, "cast", describe(g, x) + " to " + name_of(dtype));
    const TensorId y = g.transient(g.shape(x), dtype);
    const std::uint64_t quads = g.shape(x).elements() / 4;
    Node node{label(g, "cast"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, 4), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        CastPush push{};
        push.x_base = b.rows(x, first, count, 4, Access::read);
        push.y_base = b.rows(y, first, count, 4, Access::write);
        push.quads = static_cast<std::uint32_t>(count);
        node.dispatches.push_back(make_dispatch(module_name("cast", {name_of(from), name_of(dtype)}), {}, std::move(b),
                                                push, spread(g, divide_up(count, kQuadWorkgroup)),
                                                4.0 * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
