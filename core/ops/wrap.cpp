#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct WrapPush {
    std::uint32_t x_base, y_base, rows, in_w, out_w, pad, channels4;
};

}  // namespace

TensorId wrap(Graph& g, TensorId x, std::uint32_t pad_y, std::uint32_t pad_x) {
    if (!check_activations(g, "wrap", {x})) return {};
    const Shape in = g.shape(x);
    if (pad_y > in.h || pad_x > in.w)
        return fail(g, "wrap", describe(g, x) + " is smaller than a margin of " + std::to_string(std::max(pad_y, pad_x)));
    const Shape out{in.n, in.h + 2 * pad_y, in.w + 2 * pad_x, in.c};
    const TensorId y = g.transient(out, g.dtype(x));
    const std::string module = module_name("wrap", {name_of(g.dtype(x))});
    const std::uint64_t in_row = std::uint64_t(in.w) * in.c, out_row = std::uint64_t(out.w) * out.c;
    Node node{label(g, "wrap"), {}};
    // Rows [to, to + count) of the output, of all pictures, are rows [from, from + count) of the input.
    const auto copy = [&](std::uint64_t to, std::uint64_t from, std::uint64_t count) {
        if (count == 0) return;
        const std::uint32_t piece = g.rows_per_dispatch(count, out_row * size_of(g.dtype(x)), double(out_row));
        for_pieces(count, piece, [&](std::uint64_t first, std::uint64_t rows) {
            RowBindings bound(g);
            WrapPush push{0, 0, static_cast<std::uint32_t>(rows), in.w, out.w, pad_x, in.c / 4};
            push.x_base = bound.rows(x, from + first, rows, in_row, Access::read);
            push.y_base = bound.rows(y, to + first, rows, out_row, Access::write);
            const std::uint64_t quads = rows * out_row / 4;
            node.dispatches.push_back(make_dispatch(module, {}, std::move(bound), push,
                                                    spread(g, divide_up(quads, kQuadWorkgroup)), 4.0 * double(quads)));
        });
    };
    for (std::uint64_t picture = 0; picture < in.n; ++picture) {
        const std::uint64_t to = picture * out.h, from = picture * in.h;
        copy(to, from + in.h - pad_y, pad_y);
        copy(to + pad_y, from, in.h);
        copy(to + pad_y + in.h, from, pad_y);
    }
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
