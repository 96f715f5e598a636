#include "ops/gemm.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace pumice::ops {
namespace {

constexpr std::uint32_t kBlockQuads = 4;  // BLOCK_QUADS of tile_mma.glsl

/// Bytes of shared memory that the shared path declares.
std::uint32_t shared_bytes(std::uint32_t lanes_n, std::uint32_t lanes_m) {
    return kBlockQuads * (8 * lanes_m + 4 * lanes_n) * 16 + 8 * lanes_m * 8;
}

bool fits(const Capabilities& caps, const GemmVariant& v) {
    return v.lanes_n * v.lanes_m <= caps.max_workgroup_invocations && v.lanes_n <= caps.max_workgroup_size[0] &&
           v.lanes_m <= caps.max_workgroup_size[1] &&
           (v.path != GemmPath::shared || shared_bytes(v.lanes_n, v.lanes_m) <= caps.max_shared_memory);
}

/// `lanes` invocations, as many along the columns as there are columns for.
GemmVariant spread(GemmPath path, std::uint32_t lanes, const GemmProblem& problem) {
    GemmVariant v{path, 1, 1};
    while (v.lanes_n < lanes && v.tile_columns() < problem.columns) v.lanes_n *= 2;
    v.lanes_m = std::max(1u, lanes / v.lanes_n);
    return v;
}

}  // namespace

std::vector<GemmVariant> gemm_variants(const Capabilities& caps, const GemmProblem& problem) {
    // A processor runs a subgroup as one vector and has no shared memory worth the name: a subgroup a workgroup, as
    // many loads in one instruction as can be. A graphics card hides latency with many invocations and shares loads.
    const std::uint32_t subgroup = std::bit_floor(std::clamp(caps.subgroup_size, 1u, 64u));
    const bool processor = caps.type == DeviceType::cpu || subgroup <= 8;
    const bool wide = caps.int64 && problem.k % (problem.x == DType::f16 ? 16 : 8) == 0;

    std::vector<GemmVariant> variants;
    const auto offer = [&](const GemmVariant& v) {
        if (fits(caps, v) && std::find(variants.begin(), variants.end(), v) == variants.end()) variants.push_back(v);
    };
    if (processor) {
        // Vectors of one size, wide enough that a load for all of them is worth handing round: eight lanes gain a fifth
        // to seven tenths over wide loads (tools/bench/results/operators.md).
        const bool one_size = caps.min_subgroup_size == subgroup && caps.max_subgroup_size == subgroup;
        if (caps.subgroup_shuffle && one_size && subgroup >= 8 && subgroup <= 16 && problem.columns >= 4 * subgroup)
            offer({GemmPath::broadcast, subgroup, 1});
        if (wide && problem.columns > 4) offer(spread(GemmPath::wide, subgroup, problem));
        offer(spread(GemmPath::direct, subgroup, problem));
    } else if (problem.rows <= 16) {
        offer({GemmPath::direct, 64, 1});
        offer({GemmPath::direct, 32, 1});
    } else if ((problem.rows + 127) / 128 * ((problem.columns + 63) / 64) < 64) {
        offer({GemmPath::shared, 16, 8});  // few tiles: smaller ones, so that the card has enough of them
    }
    offer({GemmPath::shared, 16, 16});
    offer({GemmPath::shared, 16, 8});
    offer(spread(GemmPath::direct, 64, problem));
    if (wide) offer(spread(GemmPath::wide, subgroup, problem));
    offer({GemmPath::direct, 1, 1});
    return variants;
}

std::string gemm_module(const char* shader, const GemmVariant& v, DType x, DType w, Precision precision) {
    static constexpr const char* paths[] = {"direct", "wide", "broadcast", "shared"};
    const char* const weight = w == DType::f32 ? "wf32" : w == DType::f16 ? "wf16" : "wbf16";
    return fmt::format("{}.{}.{}.{}.{}", shader, x == DType::f16 ? "f16" : "f32", weight,
                       precision == Precision::exact ? "exact" : "fast", paths[static_cast<int>(v.path)]);
}

std::uint32_t epilogue_flags(const Graph& g, const Weight* bias, TensorId residual, TensorId channel_add,
                             DType output) {
    return (bias ? kHasBias : 0u) | (residual ? kHasResidual : 0u) | (channel_add ? kHasChannelAdd : 0u) |
           (output == DType::f32 ? kF32Output : 0u) | (residual && g.dtype(residual) == DType::f32 ? kF32Residual : 0u);
}

std::uint32_t most_rows(const Graph& g, std::uint32_t tile_rows) {
    const std::uint64_t most = std::uint64_t(g.caps().max_workgroup_count[0]) * tile_rows;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(most, UINT32_MAX / tile_rows * tile_rows));
}

std::uint64_t binding_limit(const Graph& g) {
    return std::min(g.caps().max_storage_buffer_range, std::uint64_t(1) << 31);
}

std::string describe(const Graph& g, TensorId id) {
    if (!id) return "nothing";
    static constexpr const char* names[] = {"f32", "f16", "bf16", "i32", "u8"};
    const Shape& s = g.shape(id);
    return fmt::format("{{{}, {}, {}, {}}} {}", s.n, s.h, s.w, s.c, names[static_cast<int>(g.dtype(id))]);
}

std::string describe(const Weight& w) {
    return fmt::format("{} [{}][{}][{}][{}]", w.name.empty() ? "weight" : w.name, w.n, w.k, w.kernel_h, w.kernel_w);
}

TensorId fail(Graph& g, const char* op, const std::string& what, Code code) {
    g.fail({code, std::string(op) + ": " + what});
    return {};
}

std::string label(const Graph& g, const char* op) {
    return g.scope().empty() ? op : g.scope() + " " + op;
}

std::string check_weight(const Graph& g, TensorId x, const Weight& w) {
    if (!x) return "no input";
    if (w.layout != WeightLayout::packed || !w) return describe(w) + " is not a packed weight on the device";
    if (w.dtype != DType::f32 && w.dtype != DType::f16 && w.dtype != DType::bf16)
        return describe(w) + " is neither f32, f16 nor bf16";
    const DType type = g.dtype(x);
    if (type != DType::f32 && (type != DType::f16 || g.precision() == Precision::exact))
        return "cannot read " + describe(g, x);
    if (g.shape(x).c != w.k_padded()) return describe(g, x) + " does not fit " + describe(w);
    if (g.shape(x).rows() == 0 || w.n == 0) return describe(g, x) + " and " + describe(w) + " are empty";
    return {};
}

std::string check_bias(const Weight* bias, const Weight& w) {
    if (!bias || (bias->layout == WeightLayout::vector && bias->n == w.n && *bias)) return {};
    return "bias " + describe(*bias) + " does not fit " + describe(w);
}

std::string check_like_output(const Graph& g, TensorId t, const Shape& y, const char* what) {
    if (!t) return {};
    const DType type = g.dtype(t);
    if (g.shape(t) == y && (type == DType::f32 || type == DType::f16)) return {};
    return fmt::format("{} {} does not fit the output {{{}, {}, {}, {}}}", what, describe(g, t), y.n, y.h, y.w, y.c);
}

}  // namespace pumice::ops
