#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct CutPush {
    std::uint32_t x_base, y_base, quads, height, width, tile_width, channels4, top, left;
};
struct LayPush {
    std::uint32_t sum_base, tile_base, quads, height, width, tile_width, channels4, top, left, row_weights, column_weights;
};

/// A tile of f32 as large as the picture or smaller, of as many pictures and channels.
bool fits(const Graph& g, TensorId whole, TensorId tile) {
    const Shape a = g.shape(whole), b = g.shape(tile);
    return g.dtype(whole) == DType::f32 && g.dtype(tile) == DType::f32 && a.n == b.n && a.c == b.c && b.h <= a.h &&
           b.w <= a.w;
}

}  // namespace

void cut_tile(Graph& g, TensorId x, const TilePlace& place, TensorId tile) {
    if (!check_activations(g, "cut_tile", {x, tile})) return;
    if (!fits(g, x, tile)) {
        fail(g, "cut_tile", describe(g, tile) + " of " + describe(g, x));
        return;
    }
    const Shape from = g.shape(x), to = g.shape(tile);
    const std::uint64_t quads = to.tokens() * to.c / 4;
    Node node{label(g, "cut_tile"), {}};
    for (std::uint32_t n = 0; n < to.n; ++n) {
        RowBindings b(g);
        CutPush push{0, 0, static_cast<std::uint32_t>(quads), from.h, from.w, to.w, to.c / 4, place.top, place.left};
        push.x_base = b.rows(x, n * from.tokens(), from.tokens(), from.c, Access::read);
        push.y_base = b.rows(tile, n * to.tokens(), to.tokens(), to.c, Access::write);
        node.dispatches.push_back(
            make_dispatch("cut_tile", {}, std::move(b), push, spread(g, divide_up(quads, kQuadWorkgroup)), double(quads)));
    }
    g.add(std::move(node));
}

void lay_tile(Graph& g, TensorId sum, TensorId tile, const TilePlace& place, TensorId weights, std::uint32_t row_weights,
              std::uint32_t column_weights) {
    if (!check_activations(g, "lay_tile", {sum, tile})) return;
    const Shape to = g.shape(sum), from = g.shape(tile);
    if (!fits(g, sum, tile) || !weights || g.dtype(weights) != DType::f32 ||
        g.shape(weights).elements() < std::max(row_weights + from.h, column_weights + from.w)) {
        fail(g, "lay_tile", describe(g, tile) + " on " + describe(g, sum));
        return;
    }
    const std::uint64_t quads = from.tokens() * from.c / 4;
    Node node{label(g, "lay_tile"), {}};
    for (std::uint32_t n = 0; n < to.n; ++n) {
        RowBindings b(g);
        LayPush push{0,      0,         static_cast<std::uint32_t>(quads), to.h, to.w, from.w, from.c / 4, place.top,
                     place.left, row_weights, column_weights};
        push.sum_base = b.rows(sum, n * to.tokens(), to.tokens(), to.c, Access::read_write);
        push.tile_base = b.rows(tile, n * from.tokens(), from.tokens(), from.c, Access::read);
        b.whole(weights, Access::read);
        node.dispatches.push_back(make_dispatch("lay_tile", {}, std::move(b), push,
                                                spread(g, divide_up(quads, kQuadWorkgroup)), 12.0 * double(quads)));
    }
    g.add(std::move(node));
}

}  // namespace pumice::ops
