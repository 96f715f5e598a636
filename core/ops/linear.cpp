#include "ops/gemm.hpp"

#include <algorithm>

namespace pumice::ops {
namespace {

/// shaders/linear.comp
struct LinearParameters {
    std::uint32_t rows, quads, k_quads;
    std::uint32_t x_base, y_base, residual_base;
    std::uint32_t flags;
};

std::string check(const Graph& g, TensorId x, const Weight& w, const LinearOptions& options, const Shape& y) {
    if (std::string wrong = check_weight(g, x, w); !wrong.empty()) return wrong;
    if (w.taps() != 1) return describe(w) + " is a convolution";
    if (w.geglu && (w.n % 8 != 0 || options.residual || options.activation != Activation::none))
        return describe(w) + ": GEGLU needs a multiple of 8 columns, and has no residual or other activation";
    if (std::string wrong = check_bias(options.bias, w); !wrong.empty()) return wrong;
    if (y.elements() * 4 >= std::uint64_t(1) << 40) return describe(g, x) + " is too large";
    return check_like_output(g, options.residual, y, "residual");
}

}  // namespace

GemmProblem linear_problem(const Graph& g, TensorId x, const Weight& w) {
    if (!x) return {};
    return {g.shape(x).rows(), w.n_padded(), w.k_padded(), g.dtype(x)};
}

TensorId linear_with(Graph& g, TensorId x, const Weight& w, const LinearOptions& options, const GemmVariant& variant) {
    Shape shape = x ? g.shape(x) : Shape{};
    shape.c = w.geglu ? w.n / 2 : w.n_padded();
    if (const std::string wrong = check(g, x, w, options, shape); !wrong.empty()) return fail(g, "linear", wrong);

    const DType type = options.f32_output ? DType::f32 : g.activation();
    const TensorId y = g.transient(shape, type), residual = options.residual;
    const TensorId weight = w.blocks == Blocks::none ? w.in(g) : dequantize(g, w);
    const TensorId bias = options.bias ? options.bias->in(g) : weight;
    if (!weight) return {};
    if (g.info(weight).bytes() > binding_limit(g))
        return fail(g, "linear", describe(w) + " is larger than the device can bind", Code::missing_feature);
    const std::uint32_t activation = w.geglu ? kActivationGeglu : static_cast<std::uint32_t>(options.activation);
    const KernelKey kernel{gemm_module("linear", variant, g.dtype(x), g.dtype(weight), g.precision()),
                           {variant.lanes_n, variant.lanes_m, activation},
                           5,
                           sizeof(LinearParameters)};

    const std::uint64_t rows = shape.rows(), k = w.k_padded(), n = w.n_padded();
    const std::uint64_t x_row = k * size_of(g.dtype(x));
    const std::uint64_t y_row = shape.c * std::max(size_of(type), residual ? size_of(g.dtype(residual)) : 0);
    const double row_flops = 2.0 * static_cast<double>(k) * static_cast<double>(n);
    const std::uint64_t piece =
        std::min(g.rows_per_dispatch(rows, std::max(x_row, y_row), row_flops, variant.tile_rows()),
                 most_rows(g, variant.tile_rows()));

    Node node{label(g, "linear"), {}};
    for (std::uint64_t first = 0; first < rows; first += piece) {
        const std::uint64_t count = std::min(piece, rows - first);
        LinearParameters p{};
        p.rows = static_cast<std::uint32_t>(count);
        p.quads = static_cast<std::uint32_t>(n / 4), p.k_quads = static_cast<std::uint32_t>(k / 4);
        p.flags = epilogue_flags(g, options.bias, residual, {}, type);
        // What is not used must still be bound: the weight is.
        const Binding all_weights = g.bind(weight, Access::read);
        Dispatch d;
        d.kernel = kernel;
        d.bindings = {
            g.bind(x, first * k, count * k, Access::read, p.x_base), all_weights, g.bind(bias, Access::read),
            residual ? g.bind(residual, first * shape.c, count * shape.c, Access::read, p.residual_base) : all_weights,
            g.bind(y, first * shape.c, count * shape.c, Access::write, p.y_base)};
        p.x_base /= 4, p.y_base /= 4, p.residual_base /= 4;
        d.push = push_words(p);
        d.groups = {static_cast<std::uint32_t>((count + variant.tile_rows() - 1) / variant.tile_rows()),
                    static_cast<std::uint32_t>((n + variant.tile_columns() - 1) / variant.tile_columns()), 1};
        d.flops = row_flops * static_cast<double>(count);
        d.bytes = static_cast<double>(count * (x_row + y_row) + g.info(weight).bytes());
        node.dispatches.push_back(std::move(d));
    }
    g.add(std::move(node));
    return y;
}

TensorId linear(Graph& g, TensorId x, const Weight& w, const LinearOptions& options) {
    return linear_with(g, x, w, options, gemm_variants(g.caps(), linear_problem(g, x, w)).front());
}

}  // namespace pumice::ops
