#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct EmbeddingPush {
    std::uint32_t table_base;
    std::uint32_t first_row, rows;
    std::uint32_t tokens_count, positions_count;
    std::uint32_t channels4;
};

constexpr std::uint32_t kNoCommon = 3;  // beside the numbers of DType

std::string check(const Graph& g, TensorId tokens, const Weight& table, const Weight& positions, const Weight* common) {
    if (!tokens || !table || !positions || (common && !*common)) return "an input is missing";
    if (g.dtype(tokens) != DType::i32 || g.shape(tokens).c != 1) return describe(g, tokens) + " are no tokens";
    for (const Weight* w : {&table, &positions, common ? common : &table})
        if (w->layout != WeightLayout::rows || w->k % 4 != 0 || w->k != table.k || w->dtype > DType::bf16)
            return describe(*w) + " is no table of " + std::to_string(table.k) + " columns";
    if (g.shape(tokens).tokens() > positions.n)
        return describe(g, tokens) + ": there are only " + std::to_string(positions.n) + " positions";
    return {};
}

}  // namespace

TensorId embedding(Graph& g, TensorId tokens, const Weight& table, const Weight& positions,
                   const EmbeddingOptions& options) {
    const Weight* const common = options.common;
    const TensorId more = options.more;
    if (const std::string wrong = check(g, tokens, table, positions, common); !wrong.empty())
        return fail(g, "embedding", wrong);
    if (more && (g.dtype(more) != DType::f32 || g.shape(more).c != table.k))
        return fail(g, "embedding", describe(g, more) + " beside " + describe(table));
    const Shape t = g.shape(tokens);
    const TensorId y = g.transient({t.n, t.h, t.w, table.k}, g.activation());
    const TensorId rows_of_tokens = table.in(g), rows_of_positions = positions.in(g);
    const TensorId common_row = common ? common->in(g) : rows_of_positions;  // something must be bound
    const std::uint32_t common_type = common ? static_cast<std::uint32_t>(common->dtype) : kNoCommon;
    const std::string module = module_name("embedding", {name_of(g.activation())});
    const std::uint64_t quads = t.rows() * table.k / 4;
    Node node{label(g, "embedding"), {}};
    // Rows [first, first + count) of one of the tables, whose first row is token `token`'s, serve the tokens that they
    // hold.
    const auto dispatch = [&](TensorId rows, DType type, std::uint64_t first, std::uint64_t count,
                              std::uint64_t token) {
        RowBindings b(g);
        b.whole(tokens, Access::read);
        const std::uint32_t base = b.rows(rows, first, count, table.k, Access::read);
        b.whole(rows_of_positions, Access::read);
        b.whole(common_row, Access::read);
        b.whole(y, Access::write);
        const EmbeddingPush push{base * (type == DType::f32 ? 4 : 2),    static_cast<std::uint32_t>(token + first),
                                 static_cast<std::uint32_t>(count),      static_cast<std::uint32_t>(t.rows()),
                                 static_cast<std::uint32_t>(t.tokens()), table.k / 4};
        node.dispatches.push_back(
            make_dispatch(module, {static_cast<std::uint32_t>(type), static_cast<std::uint32_t>(positions.dtype), common_type},
                          std::move(b), push, spread(g, divide_up(quads, kQuadWorkgroup)), 4.0 * double(quads)));
        // Of the tables only what the tokens name.
        node.dispatches.back().bytes = double(4 * quads * (2 * size_of(type) + size_of(g.activation())));
    };
    const std::uint32_t piece = g.rows_per_dispatch(table.n, std::uint64_t(table.k) * size_of(table.dtype), 0);
    for_pieces(table.n, piece, [&](std::uint64_t first, std::uint64_t count) {
        dispatch(rows_of_tokens, table.dtype, first, count, 0);
    });
    if (more) dispatch(more, DType::f32, 0, g.shape(more).rows(), table.n);
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
