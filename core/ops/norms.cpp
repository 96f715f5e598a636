#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

/// Of a workgroup; shaders/norms.comp has the same.
constexpr std::uint64_t kQuadsAPiece = 1024;

struct NormsPush {
    std::uint32_t x_base, y_base;
    std::uint32_t quads, pieces;
};

std::uint32_t pieces_of(const Shape& x) {
    return static_cast<std::uint32_t>(divide_up(x.tokens() * x.c / 4, kQuadsAPiece));
}

}  // namespace

Shape norms_shape(const Shape& x) {
    return {x.n, 1, pieces_of(x), 4};
}

void norms(Graph& g, TensorId x, TensorId out) {
    if (!check_activations(g, "norms", {x})) return;
    if (!out || g.dtype(x) != DType::f32 || g.dtype(out) != DType::f32 || g.shape(out) != norms_shape(g.shape(x))) {
        fail(g, "norms", "of " + describe(g, x) + " into something else than f32 of norms_shape");
        return;
    }
    const Shape shape = g.shape(x);
    const std::uint64_t quads = shape.tokens() * shape.c / 4;
    const std::uint32_t pieces = pieces_of(shape);
    const std::uint64_t pieces_a_dispatch = std::max<std::uint64_t>(
        1, g.rows_per_dispatch(pieces, kQuadsAPiece * 16, double(kQuadsAPiece) * 16));
    Node node{label(g, "norms"), {}};
    for (std::uint32_t n = 0; n < shape.n; ++n)
        for_pieces(pieces, pieces_a_dispatch, [&](std::uint64_t first, std::uint64_t count) {
            const std::uint64_t begin = first * kQuadsAPiece, end = std::min(quads, (first + count) * kQuadsAPiece);
            RowBindings b(g);
            NormsPush push{};
            push.quads = static_cast<std::uint32_t>(end - begin);
            push.pieces = static_cast<std::uint32_t>(count);
            push.x_base = b.rows(x, n * quads + begin, end - begin, 4, Access::read);
            push.y_base = b.rows(out, n * pieces + first, count, 4, Access::write);
            node.dispatches.push_back(make_dispatch("norms", {}, std::move(b), push, spread(g, count),
                                                    16.0 * double(end - begin)));
        });
    g.add(std::move(node));
}

}  // namespace pumice::ops
