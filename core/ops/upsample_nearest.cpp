#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct UpsamplePush {
    std::uint32_t x_base, y_base;
    std::uint32_t first_row, rows, first_x_row;
    std::uint32_t in_h, in_w, out_h, out_w;
    std::uint32_t channels4;
};

}  // namespace

TensorId upsample_nearest(Graph& g, TensorId x, std::uint32_t out_h, std::uint32_t out_w) {
    if (!check_activations(g, "upsample_nearest", {x})) return {};
    const Shape in = g.shape(x), out{in.n, out_h, out_w, in.c};
    constexpr std::uint32_t most = 1u << 16;  // products of two sizes stay in 32 bits
    if (out_h == 0 || out_w == 0 || std::max({in.h, in.w, out_h, out_w}) >= most)
        return fail(g, "upsample_nearest",
                    describe(g, x) + " to " + std::to_string(out_h) + " x " + std::to_string(out_w));
    const TensorId y = g.transient(out, g.dtype(x));
    const std::string module = module_name("upsample_nearest", {name_of(g.dtype(x))});
    const std::uint64_t row_elements = std::uint64_t(out_w) * in.c, x_row_elements = std::uint64_t(in.w) * in.c;
    const auto x_row = [&](std::uint64_t row) { return row / out_h * in.h + row % out_h * in.h / out_h; };
    // Rows of pixels, over the batch. One of the output needs at most in_h / out_h + 1 of the input.
    const std::uint64_t row_bytes =
        size_of(g.dtype(x)) * std::max(row_elements, x_row_elements * (in.h / out_h + (in.h > out_h ? 1 : 0)));
    const std::uint64_t all = std::uint64_t(in.n) * out_h;
    Node node{label(g, "upsample_nearest"), {}};
    for_pieces(
        all, g.rows_per_dispatch(all, row_bytes, double(row_elements)), [&](std::uint64_t first, std::uint64_t count) {
            RowBindings b(g);
            const std::uint64_t first_x = x_row(first), last_x = x_row(first + count - 1);
            UpsamplePush push{0,
                              0,
                              static_cast<std::uint32_t>(first),
                              static_cast<std::uint32_t>(count),
                              static_cast<std::uint32_t>(first_x),
                              in.h,
                              in.w,
                              out_h,
                              out_w,
                              in.c / 4};
            push.x_base = b.rows(x, first_x, last_x - first_x + 1, x_row_elements, Access::read);
            push.y_base = b.rows(y, first, count, row_elements, Access::write);
            const double elements = double(count * row_elements);
            node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                    spread(g, divide_up(count * row_elements / 4, kQuadWorkgroup)),
                                                    elements));
        });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
