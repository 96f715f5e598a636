#include "ops/gemm.hpp"

#include <algorithm>

namespace pumice::ops {
namespace {

/// shaders/conv2d.comp
struct ConvParameters {
    std::uint32_t rows, quads, k_quads;
    std::uint32_t x_base, y_base, residual_base, channel_add_base;
    std::int32_t in_h, in_w, in_y0;
    std::uint32_t out_w, out_h;
    std::int32_t out_y0, pad_top, pad_left;
    std::uint32_t taps, kernel_w;
    std::int32_t stride;
    std::uint32_t flags;
};

/// Rows [y0, y0 + rows) of the pictures [picture, picture + pictures); all rows when there are several pictures.
struct Piece {
    std::uint32_t picture, pictures, y0, rows;
};

Shape output_shape(const Shape& x, const Weight& w, const Conv2dOptions& o) {
    const auto extent = [&](std::uint32_t size, std::uint32_t before, std::uint32_t after, std::uint32_t kernel) {
        const std::uint64_t padded = std::uint64_t(size) + before + after;
        return padded < kernel ? 0u : static_cast<std::uint32_t>((padded - kernel) / std::max(1u, o.stride) + 1);
    };
    return {x.n, extent(x.h, o.pad_top, o.pad_bottom, w.kernel_h), extent(x.w, o.pad_left, o.pad_right, w.kernel_w),
            w.n_padded()};
}

std::string check(const Graph& g, TensorId x, const Weight& w, const Conv2dOptions& o, const Shape& y) {
    if (std::string wrong = check_weight(g, x, w); !wrong.empty()) return wrong;
    if (w.blocks != Blocks::none) return describe(w) + " is made of blocks, which only a product has";
    if (w.geglu) return describe(w) + " is a GEGLU weight";
    if (o.stride != 1 && o.stride != 2) return "stride " + std::to_string(o.stride);
    // The kernel holds coordinates in 16 bits.
    const std::uint32_t pads = std::max({o.pad_top, o.pad_left, o.pad_bottom, o.pad_right});
    if (g.shape(x).h > 30000 || g.shape(x).w > 30000 || pads > 1000 || w.kernel_h > 1000 || w.kernel_w > 1000)
        return describe(g, x) + " or " + describe(w) + " is too large";
    if (y.h == 0 || y.w == 0) return describe(g, x) + " is smaller than the kernel of " + describe(w);
    if (std::string wrong = check_bias(o.bias, w); !wrong.empty()) return wrong;
    if (o.channel_add && (g.shape(o.channel_add) != Shape{y.n, 1, 1, y.c} || g.dtype(o.channel_add) != DType::f32))
        return "channel_add " + describe(g, o.channel_add) + " does not fit " + describe(w);
    return check_like_output(g, o.residual, y, "residual");
}

/// The rows of x that output rows [y0, y0 + rows) see: first and one past the last, never none.
std::pair<std::uint32_t, std::uint32_t> input_rows(const Piece& piece, const Shape& x, const Weight& w,
                                                   const Conv2dOptions& o) {
    const std::int64_t first = std::int64_t(piece.y0) * o.stride - o.pad_top;
    const std::int64_t last = std::int64_t(piece.y0 + piece.rows - 1) * o.stride - o.pad_top + w.kernel_h;
    const std::int64_t begin = std::clamp<std::int64_t>(first, 0, x.h - 1);
    return {static_cast<std::uint32_t>(begin),
            static_cast<std::uint32_t>(std::clamp<std::int64_t>(last, begin + 1, x.h))};
}

/// The whole batch in one piece where it fits, else each picture in bands of rows. Empty: not even one row fits.
std::vector<Piece> cut(const Graph& g, const Shape& x, std::size_t x_size, const Shape& y, std::size_t y_size,
                       double row_flops, const Weight& w, const Conv2dOptions& o, std::uint32_t tile_rows) {
    const std::uint64_t limit = binding_limit(g);
    if (x.elements() * x_size <= limit && y.elements() * y_size <= limit && y.rows() <= most_rows(g, tile_rows) &&
        row_flops * y.h * y.n <= g.dispatch_flops())
        return {{0, y.n, 0, y.h}};

    const std::uint64_t in_row = std::uint64_t(x.w) * x.c * x_size, out_row = std::uint64_t(y.w) * y.c * y_size;
    std::uint32_t rows = g.rows_per_dispatch(y.h, std::max(out_row, o.stride * in_row), row_flops);
    rows = std::clamp(most_rows(g, tile_rows) / y.w, 1u, rows);
    // A band also reads the rows above and below that the kernel overlaps.
    const std::uint64_t slack = g.caps().storage_offset_alignment + 16;
    const auto in_bytes = [&](std::uint32_t n) {
        return std::min<std::uint64_t>(std::uint64_t(n - 1) * o.stride + w.kernel_h, x.h) * in_row + slack;
    };
    while (rows > 1 && in_bytes(rows) > limit) --rows;
    if (in_bytes(rows) > limit || out_row + slack > limit) return {};

    std::vector<Piece> pieces;
    for (std::uint32_t picture = 0; picture < y.n; ++picture)
        for (std::uint32_t y0 = 0; y0 < y.h; y0 += rows) pieces.push_back({picture, 1, y0, std::min(rows, y.h - y0)});
    return pieces;
}

/// A convolution of one tap is a matrix product.
bool is_linear(const Weight& w, const Conv2dOptions& o) {
    return w.taps() == 1 && o.stride == 1 && !o.channel_add &&
           (o.pad_top | o.pad_left | o.pad_bottom | o.pad_right) == 0;
}

/// The tensors of one use.
struct Operands {
    TensorId x, weight, bias, y;
};

Dispatch dispatch(const Graph& g, const Piece& piece, const Operands& t, const Weight& w, const Conv2dOptions& o,
                  const GemmVariant& variant, const KernelKey& kernel) {
    const Shape &in = g.shape(t.x), &out = g.shape(t.y);
    auto [in_first, in_last] = input_rows(piece, in, w, o);
    if (piece.pictures > 1) in_first = 0, in_last = in.h;
    const std::uint64_t in_row = std::uint64_t(in.w) * in.c, out_row = std::uint64_t(out.w) * out.c;
    const std::uint64_t x_first = (std::uint64_t(piece.picture) * in.h + in_first) * in_row;
    const std::uint64_t x_count = (std::uint64_t(piece.pictures - 1) * in.h + in_last - in_first) * in_row;
    const std::uint64_t y_first = (std::uint64_t(piece.picture) * out.h + piece.y0) * out_row;
    const std::uint64_t y_count = std::uint64_t(piece.pictures) * piece.rows * out_row;

    ConvParameters p{};
    p.rows = static_cast<std::uint32_t>(y_count / out.c);
    p.quads = out.c / 4, p.k_quads = in.c / 4;
    p.in_h = static_cast<std::int32_t>(in.h), p.in_w = static_cast<std::int32_t>(in.w);
    p.in_y0 = static_cast<std::int32_t>(in_first);
    p.out_w = out.w, p.out_h = piece.rows, p.out_y0 = static_cast<std::int32_t>(piece.y0);
    p.pad_top = static_cast<std::int32_t>(o.pad_top), p.pad_left = static_cast<std::int32_t>(o.pad_left);
    p.taps = w.taps(), p.kernel_w = w.kernel_w, p.stride = static_cast<std::int32_t>(o.stride);
    p.flags = epilogue_flags(g, o.bias, o.residual, o.channel_add, g.dtype(t.y));

    Dispatch d;
    d.kernel = kernel;
    // What is not used must still be bound: the weight is.
    const Binding all_weights = g.bind(t.weight, Access::read);
    d.bindings = {g.bind(t.x, x_first, x_count, Access::read, p.x_base),
                  all_weights,
                  g.bind(t.bias, Access::read),
                  o.residual ? g.bind(o.residual, y_first, y_count, Access::read, p.residual_base) : all_weights,
                  g.bind(t.y, y_first, y_count, Access::write, p.y_base),
                  o.channel_add ? g.bind(o.channel_add, Access::read) : all_weights};
    p.x_base /= 4, p.y_base /= 4, p.residual_base /= 4;
    p.channel_add_base = piece.picture * p.quads;
    d.push = push_words(p);
    d.groups = {(p.rows + variant.tile_rows() - 1) / variant.tile_rows(),
                (out.c + variant.tile_columns() - 1) / variant.tile_columns(), 1};
    d.flops = 2.0 * w.taps() * in.c * static_cast<double>(y_count);
    d.bytes = static_cast<double>(x_count * size_of(g.dtype(t.x)) + y_count * size_of(g.dtype(t.y)) +
                                  g.info(t.weight).bytes());
    return d;
}

}  // namespace

GemmProblem conv2d_problem(const Graph& g, TensorId x, const Weight& w, const Conv2dOptions& o) {
    if (!x) return {};
    return {output_shape(g.shape(x), w, o).rows(), w.n_padded(), w.k_padded(), g.dtype(x)};
}

TensorId conv2d_with(Graph& g, TensorId x, const Weight& w, const Conv2dOptions& o, const GemmVariant& variant) {
    if (is_linear(w, o)) return linear_with(g, x, w, {o.bias, o.residual, o.activation, o.f32_output}, variant);
    const Shape in = x ? g.shape(x) : Shape{}, out = output_shape(in, w, o);
    if (const std::string wrong = check(g, x, w, o, out); !wrong.empty()) return fail(g, "conv2d", wrong);

    const DType type = o.f32_output ? DType::f32 : g.activation();
    Operands t{x, w.in(g), {}, g.transient(out, type)};
    t.bias = o.bias ? o.bias->in(g) : t.weight;
    if (g.info(t.weight).bytes() > binding_limit(g))
        return fail(g, "conv2d", describe(w) + " is larger than the device can bind", Code::missing_feature);
    const std::size_t y_size = std::max(size_of(type), o.residual ? size_of(g.dtype(o.residual)) : 0);
    const double row_flops = 2.0 * w.taps() * in.c * out.c * out.w;
    const std::vector<Piece> pieces =
        cut(g, in, size_of(g.dtype(x)), out, y_size, row_flops, w, o, variant.tile_rows());
    if (pieces.empty())
        return fail(g, "conv2d", "one row of " + describe(g, x) + " is larger than the device can bind",
                    Code::missing_feature);

    const KernelKey kernel{gemm_module("conv2d", variant, g.dtype(x), w.dtype, g.precision()),
                           {variant.lanes_n, variant.lanes_m, static_cast<std::uint32_t>(o.activation)},
                           6,
                           sizeof(ConvParameters)};
    Node node{label(g, "conv2d"), {}};
    for (const Piece& piece : pieces) node.dispatches.push_back(dispatch(g, piece, t, w, o, variant, kernel));
    g.add(std::move(node));
    return t.y;
}

TensorId conv2d(Graph& g, TensorId x, const Weight& w, const Conv2dOptions& o) {
    return conv2d_with(g, x, w, o, gemm_variants(g.caps(), conv2d_problem(g, x, w, o)).front());
}

}  // namespace pumice::ops
