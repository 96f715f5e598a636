#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ResamplePush {
    std::uint32_t x_base, y_base;
    std::uint32_t quads, inner, count;
    std::uint32_t x_count;
    std::int32_t x_first, whole;
    std::uint32_t rest, step, unit;
    float support, inverse;
};

/// One axis: elements [first, first + count) of a row of `out` from those of x, which are [x_first, x_first + x_count)
/// of a row of `in`.
struct Axis {
    std::uint32_t in, out, first, count, x_first, x_count;

    double widened() const { return std::max(1.0, double(in) / double(out)); }
    double support(Resampling method) const { return (method == Resampling::bicubic ? 2 : 3) * widened(); }
    /// Sound, and small enough for what the kernel counts in 32 bits.
    bool sound() const {
        return in > 0 && out > 0 && count > 0 && x_count > 0 && std::max(in, out) < (1u << 20) &&
               std::uint64_t(first) + count <= out && std::uint64_t(x_first) + x_count <= in &&
               2ull * in * count + 2ull * out < (1ull << 32);
    }
    /// For elements from first + skip on.
    ResamplePush push(Resampling method, std::uint32_t skip) const {
        const std::uint64_t centre = (2ull * (first + skip) + 1) * in, unit = 2ull * out;
        ResamplePush p{};
        p.x_count = x_count;
        p.x_first = static_cast<std::int32_t>(x_first);
        p.whole = static_cast<std::int32_t>(centre / unit);
        p.rest = static_cast<std::uint32_t>(centre % unit);
        p.step = 2 * in;
        p.unit = static_cast<std::uint32_t>(unit);
        p.support = static_cast<float>(support(method));
        p.inverse = static_cast<float>(1.0 / widened());
        return p;
    }
    /// The elements of x that elements [skip, skip + n) are made from, counted from its first: begin and end.
    std::pair<std::uint32_t, std::uint32_t> sources(Resampling method, std::uint32_t skip, std::uint32_t n) const {
        const double factor = double(in) / double(out), reach = support(method) + 2;
        const double low = (double(first) + skip) * factor - reach - x_first;
        const double high = (double(first) + skip + n) * factor + reach - x_first;
        const auto begin = static_cast<std::uint32_t>(std::clamp(low, 0.0, double(x_count - 1)));
        return {begin, static_cast<std::uint32_t>(std::clamp(high, double(begin) + 1, double(x_count)))};
    }
};

/// Columns: every row of pixels by itself.
TensorId across(Graph& g, TensorId x, const Axis& axis, Resampling method) {
    const Shape in = g.shape(x), out{in.n, in.h, axis.count, in.c};
    const TensorId y = g.transient(out, g.dtype(x));
    const std::uint64_t rows = std::uint64_t(in.n) * in.h, row = std::uint64_t(out.w) * out.c;
    const std::uint64_t x_row = std::uint64_t(in.w) * in.c;
    const double flops = double(row) * 40 * axis.support(method);
    Node node{label(g, "resample columns"), {}};
    for_pieces(rows, g.rows_per_dispatch(rows, size_of(g.dtype(x)) * std::max(row, x_row), flops),
               [&](std::uint64_t first, std::uint64_t count) {
                   RowBindings b(g);
                   ResamplePush push = axis.push(method, 0);
                   push.quads = static_cast<std::uint32_t>(count * row / 4);
                   push.inner = in.c / 4;
                   push.count = axis.count;
                   push.x_base = b.rows(x, first, count, x_row, Access::read);
                   push.y_base = b.rows(y, first, count, row, Access::write);
                   node.dispatches.push_back(make_dispatch(
                       module_name("resample", {name_of(g.dtype(x))}), {static_cast<std::uint32_t>(method)},
                       std::move(b), push, spread(g, divide_up(push.quads, kQuadWorkgroup)), flops * double(count)));
               });
    g.add(std::move(node));
    return y;
}

/// Rows: each picture in bands of output rows, which see a band of input rows.
TensorId down(Graph& g, TensorId x, const Axis& axis, Resampling method) {
    const Shape in = g.shape(x), out{in.n, axis.count, in.w, in.c};
    const TensorId y = g.transient(out, g.dtype(x));
    const std::uint64_t row = std::uint64_t(in.w) * in.c;
    const double flops = double(row) * 40 * axis.support(method);
    // A band of n rows sees at most n factor + 2 reach of the input.
    const std::uint64_t bytes = row * size_of(g.dtype(x)), limit = binding_limit(g);
    std::uint32_t band = g.rows_per_dispatch(out.h, bytes, flops);
    const auto seen = [&](std::uint32_t n) {
        std::uint64_t most = 0;
        for (std::uint32_t at = 0; at < out.h; at += n) {
            const auto [begin, end] = axis.sources(method, at, std::min(n, out.h - at));
            most = std::max<std::uint64_t>(most, end - begin);
        }
        return most * bytes + g.caps().storage_offset_alignment + 16;
    };
    while (band > 1 && seen(band) > limit) band = (band + 1) / 2;
    if (seen(band) > limit)
        return fail(g, "resample", "one row of " + describe(g, x) + " sees more than the device can bind",
                    Code::missing_feature);
    Node node{label(g, "resample rows"), {}};
    for (std::uint32_t n = 0; n < in.n; ++n)
        for_pieces(out.h, band, [&](std::uint64_t first, std::uint64_t count) {
            const auto [begin, end] =
                axis.sources(method, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count));
            RowBindings b(g);
            ResamplePush push = axis.push(method, static_cast<std::uint32_t>(first));
            push.quads = static_cast<std::uint32_t>(count * row / 4);
            push.inner = static_cast<std::uint32_t>(row / 4);
            push.count = static_cast<std::uint32_t>(count);
            push.x_first += static_cast<std::int32_t>(begin);
            push.x_count = end - begin;
            push.x_base = b.rows(x, std::uint64_t(n) * in.h + begin, end - begin, row, Access::read);
            push.y_base = b.rows(y, std::uint64_t(n) * out.h + first, count, row, Access::write);
            node.dispatches.push_back(make_dispatch(
                module_name("resample", {name_of(g.dtype(x))}), {static_cast<std::uint32_t>(method)}, std::move(b),
                push, spread(g, divide_up(push.quads, kQuadWorkgroup)), flops * double(count)));
        });
    g.add(std::move(node));
    return y;
}

}  // namespace

TensorId resample(Graph& g, TensorId x, std::uint32_t rows, std::uint32_t columns, Resampling method,
                  const ResampleWindow& w) {
    if (!check_activations(g, "resample", {x})) return {};
    const Shape in = g.shape(x);
    const Axis horizontal{w.in_w, w.out_w, w.out_x, columns, w.in_x, in.w},
        vertical{w.in_h, w.out_h, w.out_y, rows, w.in_y, in.h};
    if (!horizontal.sound() || !vertical.sound())
        return fail(g, "resample",
                    describe(g, x) + " to " + std::to_string(rows) + " x " + std::to_string(columns) + " of " +
                        std::to_string(w.out_h) + " x " + std::to_string(w.out_w));
    return down(g, across(g, x, horizontal, method), vertical, method);
}

TensorId resample(Graph& g, TensorId x, std::uint32_t rows, std::uint32_t columns, Resampling method) {
    if (!check_activations(g, "resample", {x})) return {};
    const Shape in = g.shape(x);
    return resample(g, x, rows, columns, method, {in.h, in.w, 0, 0, rows, columns, 0, 0});
}

}  // namespace pumice::ops
