#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

/// shaders/merge.comp
struct MergePush {
    std::uint32_t row0, first, rows, m, taps, a, b, c, d, magnitudes, rank, rank2, b_rows;
    float factor, strength;
    std::uint32_t all_rows;
};

/// Elements of the factors that a change reads from its first on.
std::uint64_t last_factor(const MergeChange& c, std::uint64_t m) {
    using Kind = MergeChange::Kind;
    const std::uint64_t rows = c.rows;
    std::uint64_t end = 0;
    const auto reach = [&](std::uint64_t begin, std::uint64_t count) { end = std::max(end, begin + count); };
    switch (c.kind) {
        case Kind::hadamard:
            reach(c.c, rows * c.rank2);
            reach(c.d, c.rank2 * m);
            [[fallthrough]];
        case Kind::low_rank:
            reach(c.a, rows * c.rank);
            reach(c.b, c.rank * m);
            break;
        case Kind::kronecker:
            reach(c.a, rows / c.b_rows * c.rank);
            reach(c.b, std::uint64_t(c.b_rows) * c.rank2 * c.taps);
            break;
        case Kind::difference:
            reach(c.a, rows * m);
            break;
        case Kind::rows:
            reach(c.a, rows);
            break;
        case Kind::columns:
            reach(c.a, m / c.taps);
            break;
    }
    if (c.magnitudes != MergeChange::Magnitudes::none)
        reach(c.magnitude, c.magnitudes == MergeChange::Magnitudes::rows ? rows : m / c.taps);
    return end;
}

bool fits(const Graph& g, TensorId w, TensorId factors, const MergeChange& c) {
    using Kind = MergeChange::Kind;
    if (!w || !factors || g.dtype(w) != DType::f32 || g.dtype(factors) != DType::f32) return false;
    const std::uint64_t m = g.shape(w).c;
    if (c.rows == 0 || c.taps == 0 || m % c.taps != 0 || std::uint64_t(c.row0) + c.rows > g.shape(w).rows())
        return false;
    if (c.kind == Kind::kronecker &&
        (c.b_rows == 0 || c.rows % c.b_rows != 0 || std::uint64_t(c.rank) * c.rank2 * c.taps != m))
        return false;
    return last_factor(c, m) <= g.shape(factors).elements() && g.info(w).bytes() <= g.caps().max_storage_buffer_range &&
           g.info(factors).bytes() <= g.caps().max_storage_buffer_range;
}

double flops_per_element(const MergeChange& c) {
    using Kind = MergeChange::Kind;
    if (c.kind == Kind::low_rank) return 2.0 * c.rank + 4;
    if (c.kind == Kind::hadamard) return 2.0 * (c.rank + c.rank2) + 4;
    return 8;
}

}  // namespace

void merge(Graph& g, TensorId w, TensorId factors, const MergeChange& c) {
    if (!fits(g, w, factors, c)) {
        fail(g, "merge",
             "a change of " + std::to_string(c.rows) + " rows from " + std::to_string(c.row0) + " does not fit " +
                 describe(g, w) + " and factors " + describe(g, factors));
        return;
    }
    const auto kind = static_cast<std::uint32_t>(c.kind), magnitudes = static_cast<std::uint32_t>(c.magnitudes);
    const std::uint32_t m = g.shape(w).c;
    MergePush push{c.row0, 0,           0,      m,       c.taps,   c.a,      c.b,        c.c,
                   c.d,    c.magnitude, c.rank, c.rank2, c.b_rows, c.factor, c.strength, c.rows};
    const auto dispatch = [&](const char* module, TensorId ratios, Access access, std::uint64_t first,
                              std::uint64_t count, std::uint64_t invocations, double flops) {
        RowBindings b(g);
        b.whole(w, module == std::string_view("merge.apply") ? Access::read_write : Access::read);
        b.whole(factors, Access::read);
        b.whole(ratios, access);
        push.first = static_cast<std::uint32_t>(first);
        push.rows = static_cast<std::uint32_t>(count);
        return make_dispatch(module, {kind, magnitudes}, std::move(b), push,
                             spread(g, divide_up(invocations, kQuadWorkgroup)), flops);
    };
    Node node{label(g, "merge"), {}};
    TensorId ratios = factors;  // every binding is set
    const double per_row = flops_per_element(c) * m;
    if (c.magnitudes != MergeChange::Magnitudes::none) {
        const bool of_rows = c.magnitudes == MergeChange::Magnitudes::rows;
        const std::uint32_t lengths = of_rows ? c.rows : m / c.taps;
        const double per_length = of_rows ? 4.0 * m : (flops_per_element(c) + 4) * c.rows * c.taps;
        ratios = g.transient({1, 1, 1, (lengths + 3) / 4 * 4}, DType::f32);
        for_pieces(lengths, g.rows_per_dispatch(lengths, 4, per_length, 64),
                   [&](std::uint64_t first, std::uint64_t count) {
                       node.dispatches.push_back(dispatch("merge.ratio", ratios, Access::read_write, first, count,
                                                          count, per_length * double(count)));
                   });
    }
    for_pieces(c.rows, g.rows_per_dispatch(c.rows, std::uint64_t(m) * 4, per_row),
               [&](std::uint64_t first, std::uint64_t count) {
                   node.dispatches.push_back(
                       dispatch("merge.apply", ratios, Access::read, first, count, count * m, per_row * double(count)));
               });
    g.add(std::move(node));
}

}  // namespace pumice::ops
