#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct SlicePush {
    std::uint32_t x_base, y_base, rows, x_channels4, first4, channels4;
};

}  // namespace

TensorId slice_channels(Graph& g, TensorId x, std::uint32_t first, std::uint32_t count) {
    if (!check_activations(g, "slice_channels", {x})) return {};
    const Shape shape = g.shape(x);
    if (first % 4 != 0 || count % 4 != 0 || count == 0 || first > shape.c || count > shape.c - first)
        return fail(g, "slice_channels",
                    std::to_string(count) + " channels from " + std::to_string(first) + " of " + describe(g, x));
    const TensorId y = g.transient({shape.n, shape.h, shape.w, count}, g.dtype(x));
    const std::string module = module_name("slice_channels", {name_of(g.dtype(x))});
    const std::uint32_t piece = g.rows_per_dispatch(shape.rows(), size_of(g.dtype(x)) * shape.c, double(count));
    Node node{label(g, "slice_channels"), {}};
    for_pieces(shape.rows(), piece, [&](std::uint64_t row, std::uint64_t rows) {
        RowBindings bound(g);
        SlicePush push{0, 0, static_cast<std::uint32_t>(rows), shape.c / 4, first / 4, count / 4};
        push.x_base = bound.rows(x, row, rows, shape.c, Access::read);
        push.y_base = bound.rows(y, row, rows, count, Access::write);
        const std::uint64_t quads = rows * count / 4;
        node.dispatches.push_back(make_dispatch(module, {}, std::move(bound), push,
                                                spread(g, divide_up(quads, kQuadWorkgroup)), 4.0 * double(quads)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
