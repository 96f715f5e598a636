#include "ops/attention.hpp"

#include <cmath>

#include "ops/common.hpp"

namespace pumice::ops {
namespace {

struct AttentionPush {
    std::uint32_t q_base, k_base, v_base, y_base;
    std::uint32_t row_words;
    std::uint32_t queries, first_query, keys;
    float scale;
};

constexpr std::uint32_t kBlock = 8;        // keys of a split's block: BLOCK in shaders/attention.comp
constexpr std::uint32_t kMostChunk4 = 16;  // quads of output columns in registers: EACH_QUAD there
constexpr std::uint32_t kMostHead = 1024;

std::string check(const Graph& g, TensorId q, TensorId k, TensorId v, std::uint32_t heads) {
    const Shape &sq = g.shape(q), &sk = g.shape(k), &sv = g.shape(v);
    const std::string shapes =
        describe(g, q) + ", " + describe(g, k) + ", " + describe(g, v) + " in " + std::to_string(heads) + " heads";
    if (g.dtype(q) != g.dtype(k) || g.dtype(q) != g.dtype(v)) return shapes + ": types differ";
    if (sk != sv || sq.n != sk.n || sq.c != sk.c) return shapes + ": shapes do not fit";
    if (heads == 0 || sq.c % heads != 0 || sq.c / heads % 4 != 0 || sq.c / heads > kMostHead)
        return shapes + ": a head must be a multiple of 4 up to " + std::to_string(kMostHead);
    return {};
}

std::uint32_t chunk_quads(std::uint32_t head_size) {
    return static_cast<std::uint32_t>(divide_up(head_size / 4, attention_split(head_size)));
}

}  // namespace

std::uint32_t attention_split(std::uint32_t head_size) {
    const std::uint32_t head4 = head_size / 4;
    const auto least = static_cast<std::uint32_t>(divide_up(head4, kMostChunk4));
    for (std::uint32_t split = least; split < 2 * least; ++split)
        if (head4 % split == 0) return split;
    return least;
}

std::vector<AttentionVariant> attention_variants(const Capabilities& caps, std::uint32_t head_size, DType type) {
    const std::uint32_t split = attention_split(head_size), chunk4 = chunk_quads(head_size);
    // Two quads at a time: an even number of them in a head and in each part. 64-bit integers carry two of f32.
    const bool pairs = head_size % 8 == 0 && chunk4 % 2 == 0;
    std::vector<AttentionVariant> legal;
    const auto offer = [&](const AttentionVariant& v) {
        const std::uint32_t shared = split > 1 ? 4 * split * kBlock * v.lanes * v.rows : 4;
        if (v.lanes * split > caps.max_workgroup_invocations || v.lanes > caps.max_workgroup_size[0] ||
            split > caps.max_workgroup_size[1] || shared > caps.max_shared_memory)
            return;
        if (v.pair && (!pairs || (type == DType::f32 && (v.rows == 1 || !caps.int64)))) return;
        if (std::find(legal.begin(), legal.end(), v) == legal.end()) legal.push_back(v);
    };
    // On a processor a load is what costs, and four queries share it; registers spill to its first cache. A GPU has
    // no room for four queries' outputs, but many invocations to share a cache line; and a processor driver of narrow
    // vectors takes minutes and gigabytes to compile four queries' code, so there it is not offered at all.
    const std::uint32_t native = std::max(1u, caps.subgroup_size);
    const bool processor = caps.type == DeviceType::cpu, four = !processor || native >= 8;
    // Vectors as long as a block of keys, and no others: a load brings each lane a key of its own.
    const bool handed = caps.subgroup_shuffle && caps.min_subgroup_size == kBlock && caps.max_subgroup_size == kBlock;
    if (processor && handed) offer({4, kBlock, pairs, true});
    if (processor && four)
        for (const bool pair : {true, false}) offer({4, native, pair});
    for (const bool pair : {true, false}) offer({1, std::max(native, 64u / split), pair});
    if (four) offer({4, native, false});
    offer({1, native, false});
    offer({1, 1, false});
    return legal;
}

TensorId attention_with(Graph& g, TensorId q, TensorId k, TensorId v, const AttentionOptions& options,
                        const AttentionVariant& variant) {
    if (!check_activations(g, "attention", {q, k, v})) return {};
    if (const std::string wrong = check(g, q, k, v, options.heads); !wrong.empty()) return fail(g, "attention", wrong);
    const Shape sq = g.shape(q), sk = g.shape(k);
    const std::uint32_t head = sq.c / options.heads, split = attention_split(head);
    const auto keys = static_cast<std::uint32_t>(sk.tokens());
    if (std::uint64_t(keys) * sq.c * size_of(g.dtype(k)) > binding_limit(g))
        return fail(g, "attention", describe(g, k) + ": the keys of a picture are larger than the device can bind",
                    Code::missing_feature);

    const TensorId y = g.transient(sq, g.dtype(q));
    const std::string module =
        module_name("attention", {name_of(g.dtype(q)), mode_of(g), variant.rows == 1 ? "rows1" : "rows4",
                                  variant.pair ? "pair" : "quad", variant.handed ? "handed" : "each"});
    const std::uint32_t word = variant.pair ? 2 : 1;  // quads
    const std::vector<std::uint32_t> constants{variant.lanes, split, head / 4 / word, chunk_quads(head) / word,
                                               options.causal ? 1u : 0u};
    const float scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<float>(head));
    const std::uint32_t tile = variant.lanes * variant.rows;
    const double row_flops = (options.causal ? 2.0 : 4.0) * keys * sq.c;
    Node node{label(g, "attention"), {}};
    for (std::uint32_t n = 0; n < sq.n; ++n) {
        const std::uint32_t piece = g.rows_per_dispatch(sq.tokens(), sq.c * size_of(g.dtype(q)), row_flops, tile);
        for_pieces(sq.tokens(), piece, [&](std::uint64_t first, std::uint64_t count) {
            RowBindings b(g);
            AttentionPush push{};
            push.row_words = sq.c / 4 / word;
            push.queries = static_cast<std::uint32_t>(count);
            push.first_query = static_cast<std::uint32_t>(first);
            push.keys = keys;
            push.scale = scale;
            push.q_base = b.rows(q, n * sq.tokens() + first, count, sq.c, Access::read) / word;
            push.k_base = b.rows(k, std::uint64_t(n) * keys, keys, sq.c, Access::read) / word;
            push.v_base = b.rows(v, std::uint64_t(n) * keys, keys, sq.c, Access::read) / word;
            push.y_base = b.rows(y, n * sq.tokens() + first, count, sq.c, Access::write) / word;
            node.dispatches.push_back(make_dispatch(
                module, constants, std::move(b), push,
                {static_cast<std::uint32_t>(divide_up(count, tile)), options.heads, 1}, row_flops * double(count)));
        });
    }
    g.add(std::move(node));
    return y;
}

TensorId attention(Graph& g, TensorId q, TensorId k, TensorId v, const AttentionOptions& options) {
    if (!check_activations(g, "attention", {q, k, v})) return {};
    if (const std::string wrong = check(g, q, k, v, options.heads); !wrong.empty()) return fail(g, "attention", wrong);
    return attention_with(g, q, k, v, options,
                          attention_variants(g.caps(), g.shape(q).c / options.heads, g.dtype(q)).front());
}

}  // namespace pumice::ops
