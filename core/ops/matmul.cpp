#include <algorithm>
#include <bit>

#include "ops/gemm.hpp"

namespace pumice::ops {
namespace {

constexpr std::uint32_t kTileRows = 8;  // TILE_ROWS of shaders/matmul.comp

/// shaders/matmul.comp
struct MatmulParameters {
    std::uint32_t rows, quads, k_quads;
    std::uint32_t a_base, b_base, y_base;
    std::uint32_t a_stride, b_stride, y_stride;
    float scale;
};

std::string check(const Graph& g, TensorId a, TensorId b, const MatmulOptions& o) {
    if (!a || !b) return "no input";
    const Shape &sa = g.shape(a), &sb = g.shape(b);
    const auto readable = [&](DType t) {
        return t == DType::f32 || (t == DType::f16 && g.precision() != Precision::exact);
    };
    const std::uint64_t k = o.transpose_b ? sb.c : sb.tokens();
    const std::uint64_t n = o.transpose_b ? sb.tokens() : sb.c;
    if (g.dtype(a) != g.dtype(b) || !readable(g.dtype(a)) || sa.n != sb.n || sa.c != k || k % 4 != 0 || n % 4 != 0 ||
        sa.rows() == 0 || k == 0 || n == 0)
        return describe(g, a) + " times " + describe(g, b) + (o.transpose_b ? " transposed" : "");
    return {};
}

}  // namespace

TensorId matmul(Graph& g, TensorId a, TensorId b, const MatmulOptions& o) {
    if (const std::string wrong = check(g, a, b, o); !wrong.empty()) return fail(g, "matmul", wrong);
    const Shape sa = g.shape(a), sb = g.shape(b);
    const std::uint64_t k = sa.c, rows = sa.tokens(), n = o.transpose_b ? sb.tokens() : sb.c;
    const DType type = g.activation();
    const TensorId y = g.transient({sa.n, sa.h, sa.w, static_cast<std::uint32_t>(n)}, type);

    // One subgroup on a processor, 64 invocations elsewhere: see gemm_variants.
    const Capabilities& caps = g.caps();
    const bool processor = caps.type == DeviceType::cpu || caps.subgroup_size <= 8;
    const std::uint32_t lanes = processor ? std::bit_floor(std::clamp(caps.subgroup_size, 1u, 64u))
                                          : std::min(64u, caps.max_workgroup_invocations);
    const std::uint32_t lanes_n = static_cast<std::uint32_t>(std::min<std::uint64_t>(lanes, std::bit_ceil(n / 4)));
    const std::uint32_t lanes_m = lanes / lanes_n, tile_rows = lanes_m * kTileRows, tile_columns = lanes_n * 4;
    const KernelKey kernel{std::string("matmul.") + (g.dtype(a) == DType::f16 ? "f16" : "f32") +
                               (g.precision() == Precision::exact ? ".exact" : ".fast"),
                           {lanes_n, lanes_m, o.transpose_b ? 1u : 0u, type == DType::f32 ? 1u : 0u},
                           3,
                           sizeof(MatmulParameters)};

    const std::uint64_t x_size = size_of(g.dtype(a)), limit = binding_limit(g);
    if (k * n * x_size + caps.storage_offset_alignment > limit)
        return fail(g, "matmul", describe(g, b) + " is larger than the device can bind", Code::missing_feature);
    const double row_flops = 2.0 * static_cast<double>(k) * static_cast<double>(n);
    const std::uint64_t row_bytes = std::max(k * x_size, n * size_of(type));
    const bool whole = sa.n * rows * row_bytes <= limit && sa.n * k * n * x_size <= limit &&
                       row_flops * static_cast<double>(sa.rows()) <= g.dispatch_flops() &&
                       rows <= most_rows(g, tile_rows) && sa.n <= caps.max_workgroup_count[2];
    const std::uint64_t products = whole ? sa.n : 1;
    const std::uint64_t piece =
        whole ? rows : std::min(g.rows_per_dispatch(rows, row_bytes, row_flops, tile_rows), most_rows(g, tile_rows));

    Node node{label(g, "matmul"), {}};
    for (std::uint64_t batch = 0; batch < sa.n; batch += products) {
        for (std::uint64_t first = 0; first < rows; first += piece) {
            const std::uint64_t count = std::min(piece, rows - first), all = (products - 1) * rows + count;
            MatmulParameters p{};
            p.rows = static_cast<std::uint32_t>(count);
            p.quads = static_cast<std::uint32_t>(n / 4), p.k_quads = static_cast<std::uint32_t>(k / 4);
            p.a_stride = static_cast<std::uint32_t>(rows * k / 4),
            p.y_stride = static_cast<std::uint32_t>(rows * n / 4);
            p.b_stride = static_cast<std::uint32_t>(k * n / 4);
            p.scale = o.scale;
            Dispatch d;
            d.kernel = kernel;
            d.bindings = {g.bind(a, (batch * rows + first) * k, all * k, Access::read, p.a_base),
                          g.bind(b, batch * k * n, products * k * n, Access::read, p.b_base),
                          g.bind(y, (batch * rows + first) * n, all * n, Access::write, p.y_base)};
            p.a_base /= 4, p.b_base /= 4, p.y_base /= 4;
            d.push = push_words(p);
            d.groups = {static_cast<std::uint32_t>((count + tile_rows - 1) / tile_rows),
                        static_cast<std::uint32_t>((n + tile_columns - 1) / tile_columns),
                        static_cast<std::uint32_t>(products)};
            d.flops = row_flops * static_cast<double>(count * products);
            d.bytes = static_cast<double>(all * (k * x_size + n * size_of(type)) + products * k * n * x_size);
            node.dispatches.push_back(std::move(d));
        }
    }
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
