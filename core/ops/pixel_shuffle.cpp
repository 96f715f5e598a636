// pixel_shuffle and pixel_unshuffle.
#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ShufflePush {
    std::uint32_t x_base, y_base;
    std::uint32_t quads, first_row, first_x_row;
    std::uint32_t in_w, in_channels4, out_w, out_channels4;
    std::uint32_t r, channels;
};

constexpr std::uint32_t kMostFactor = 16, kMostSide = 1u << 16;

std::uint32_t padded(std::uint32_t channels) {
    return (channels + 3) / 4 * 4;
}

/// Rows of the output are made from rows [x_row(first), x_row(last) + x_rows) of the input.
TensorId append(Graph& g, const char* op, const char* direction, TensorId x, Shape out, std::uint32_t r,
                std::uint32_t channels) {
    const bool shuffle = std::string_view(direction) == "shuffle";
    const Shape in = g.shape(x);
    const TensorId y = g.transient(out, g.dtype(x));
    const std::string module = module_name("pixel_shuffle", {name_of(g.dtype(x)), direction});
    const std::uint64_t row = std::uint64_t(out.w) * out.c, x_row = std::uint64_t(in.w) * in.c;
    const std::uint64_t all = std::uint64_t(out.n) * out.h;
    const std::uint64_t bytes = size_of(g.dtype(x)) * (shuffle ? std::max(row, x_row) : std::max(row, x_row * r));
    // Cut at multiples of r, where a row of the input begins.
    const std::uint32_t piece = g.rows_per_dispatch(all, bytes, double(row), shuffle ? r : 1);
    Node node{label(g, op), {}};
    for_pieces(all, piece, [&](std::uint64_t first, std::uint64_t count) {
        const std::uint64_t x_first = shuffle ? first / r : first * r;
        const std::uint64_t x_count = shuffle ? divide_up(count, r) : count * r;
        RowBindings b(g);
        ShufflePush push{0,
                         0,
                         static_cast<std::uint32_t>(count * row / 4),
                         static_cast<std::uint32_t>(first),
                         static_cast<std::uint32_t>(x_first),
                         in.w,
                         in.c / 4,
                         out.w,
                         out.c / 4,
                         r,
                         channels};
        push.x_base = b.rows(x, x_first, x_count, x_row, Access::read);
        push.y_base = b.rows(y, first, count, row, Access::write);
        node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                spread(g, divide_up(count * row / 4, kQuadWorkgroup)),
                                                double(count * row)));
    });
    g.add(std::move(node));
    return y;
}

bool fits(std::uint32_t r, std::uint32_t channels, const Shape& small) {
    return r >= 1 && r <= kMostFactor && channels >= 1 && channels < kMostSide && small.h < kMostSide / r &&
           small.w < kMostSide / r && small.c == padded(channels * r * r);
}

std::string what(const Graph& g, TensorId x, std::uint32_t r, std::uint32_t channels) {
    return describe(g, x) + " by " + std::to_string(r) + " with " + std::to_string(channels) + " channels";
}

}  // namespace

TensorId pixel_shuffle(Graph& g, TensorId x, std::uint32_t r, std::uint32_t channels) {
    if (!check_activations(g, "pixel_shuffle", {x})) return {};
    const Shape in = g.shape(x);
    if (!fits(r, channels, in)) return fail(g, "pixel_shuffle", what(g, x, r, channels));
    return append(g, "pixel_shuffle", "shuffle", x, {in.n, in.h * r, in.w * r, padded(channels)}, r, channels);
}

TensorId pixel_unshuffle(Graph& g, TensorId x, std::uint32_t r, std::uint32_t channels) {
    if (!check_activations(g, "pixel_unshuffle", {x})) return {};
    const Shape in = g.shape(x);
    if (r == 0 || in.h % r != 0 || in.w % r != 0 || in.c != padded(channels))
        return fail(g, "pixel_unshuffle", what(g, x, r, channels));
    const Shape out{in.n, in.h / r, in.w / r, padded(channels * r * r)};
    if (!fits(r, channels, out)) return fail(g, "pixel_unshuffle", what(g, x, r, channels));
    return append(g, "pixel_unshuffle", "unshuffle", x, out, r, channels);
}

}  // namespace pumice::ops
