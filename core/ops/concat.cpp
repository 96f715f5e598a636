#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ConcatPush {
    std::uint32_t a_base, b_base, y_base, rows, a_channels4, b_channels4;
};

}  // namespace

TensorId concat(Graph& g, TensorId a, TensorId b) {
    if (!check_activations(g, "concat", {a, b})) return {};
    const Shape& sa = g.shape(a);
    const Shape& sb = g.shape(b);
    if (sa.n != sb.n || sa.h != sb.h || sa.w != sb.w || g.dtype(a) != g.dtype(b))
        return fail(g, "concat", describe(g, a) + " and " + describe(g, b));
    const std::uint32_t ca = sa.c, cb = sb.c;
    const std::uint64_t rows = sa.rows();
    const TensorId y = g.transient({sa.n, sa.h, sa.w, ca + cb}, g.dtype(a));
    const std::string module = module_name("concat", {name_of(g.dtype(y))});
    const std::uint32_t piece = g.rows_per_dispatch(rows, size_of(g.dtype(y)) * (ca + cb), double(ca + cb));
    Node node{label(g, "concat"), {}};
    for_pieces(rows, piece, [&](std::uint64_t first, std::uint64_t count) {
        RowBindings bound(g);
        ConcatPush push{0, 0, 0, static_cast<std::uint32_t>(count), ca / 4, cb / 4};
        push.a_base = bound.rows(a, first, count, ca, Access::read);
        push.b_base = bound.rows(b, first, count, cb, Access::read);
        push.y_base = bound.rows(y, first, count, ca + cb, Access::write);
        const std::uint64_t quads = count * (ca + cb) / 4;
        node.dispatches.push_back(make_dispatch(module, {}, std::move(bound), push,
                                                spread(g, divide_up(quads, kQuadWorkgroup)), 4.0 * double(quads)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
