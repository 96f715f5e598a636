#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct StatisticsPush {
    std::uint32_t x_base;
    std::uint32_t first_chunk, chunks;
    std::uint32_t chunks_a_picture, chunk_pixels, pixels;
    std::uint32_t channels4;
};
struct CombinePush {
    std::uint32_t chunks_a_picture, chunk_pixels, pixels;
    std::uint32_t channels, groups;
    float eps;
};
struct ApplyPush {
    std::uint32_t x_base, y_base;
    std::uint32_t first_row, rows;
    std::uint32_t pixels, channels4;
};

constexpr std::uint32_t kShortestChunk = 32, kMostChunks = 1024;
constexpr std::uint32_t kPixelsPerInvocation = 8;  // PIXELS in shaders/group_norm.comp

struct GroupNorm {
    Graph& g;
    TensorId x;
    GroupNormOptions options;
    Shape s = g.shape(x);
    std::uint32_t pixels = static_cast<std::uint32_t>(s.tokens());
    std::uint32_t chunk_pixels = 0, chunks = 0;  ///< a picture's
    TensorId partial{}, table{};
    Node node{label(g, "group_norm"), {}};

    std::string module(const char* stage) const {
        const char* type = std::string_view(stage) == "combine" ? "f32" : name_of(g.dtype(x));
        return module_name("group_norm", {type, mode_of(g), stage});
    }
    void statistics();
    void combine(const Weight& gamma, const Weight& beta);
    TensorId apply();
};

void GroupNorm::statistics() {
    const NormChunks cut = norm_chunks(s);
    chunk_pixels = cut.pixels;
    chunks = cut.count;
    const std::uint64_t all = std::uint64_t(s.n) * chunks;
    partial = g.transient({1, 1, static_cast<std::uint32_t>(2 * all), s.c}, DType::f32);
    const std::uint64_t chunk_bytes = std::uint64_t(chunk_pixels) * s.c * size_of(g.dtype(x));
    const double chunk_flops = 4.0 * chunk_pixels * s.c;
    const auto first_row = [&](std::uint64_t chunk) {  // of the batch
        return chunk / chunks * pixels + std::min<std::uint64_t>(chunk % chunks * chunk_pixels, pixels);
    };
    for_pieces(all, g.rows_per_dispatch(all, chunk_bytes, chunk_flops), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        StatisticsPush push{
            0,      static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count), chunks, chunk_pixels, pixels,
            s.c / 4};
        const std::uint64_t row = first_row(first);
        push.x_base = b.rows(x, row, first_row(first + count) - row, s.c, Access::read);
        b.whole(partial, Access::write);
        node.dispatches.push_back(make_dispatch(module("statistics"), {}, std::move(b), push,
                                                spread(g, divide_up(count * s.c / 4, kQuadWorkgroup)),
                                                chunk_flops * double(count)));
    });
}

void GroupNorm::combine(const Weight& gamma, const Weight& beta) {
    table = g.transient({s.n, 1, 2, s.c}, DType::f32);
    RowBindings b(g);
    b.whole(partial, Access::read);
    b.whole(gamma.in(g), Access::read);
    b.whole(beta.in(g), Access::read);
    b.whole(table, Access::write);
    node.dispatches.push_back(make_dispatch(module("combine"), {}, std::move(b),
                                            CombinePush{chunks, chunk_pixels, pixels, s.c, options.groups, options.eps},
                                            {s.n * options.groups, 1, 1}, 6.0 * double(chunks) * s.c * s.n));
}

TensorId GroupNorm::apply() {
    const TensorId y = g.transient(s, g.dtype(x));
    const double row_flops = (options.silu ? 20.0 : 2.0) * s.c;
    const std::uint32_t piece =
        g.rows_per_dispatch(s.rows(), s.c * size_of(g.dtype(x)), row_flops, kPixelsPerInvocation);
    for_pieces(s.rows(), piece, [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        ApplyPush push{0, 0, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count), pixels, s.c / 4};
        push.x_base = b.rows(x, first, count, s.c, Access::read);
        b.whole(table, Access::read);
        push.y_base = b.rows(y, first, count, s.c, Access::write);
        const std::uint64_t invocations = divide_up(count, kPixelsPerInvocation) * (s.c / 4);
        node.dispatches.push_back(make_dispatch(module("apply"), {options.silu ? 1u : 0u}, std::move(b), push,
                                                spread(g, divide_up(invocations, kQuadWorkgroup)),
                                                row_flops * double(count)));
    });
    return y;
}

}  // namespace

// Chunks depend on the shape alone, so that the order of summation does.
NormChunks norm_chunks(const Shape& x) {
    const auto pixels = static_cast<std::uint32_t>(x.tokens());
    NormChunks cut{kShortestChunk, 0};
    while (divide_up(pixels, cut.pixels) > kMostChunks) cut.pixels *= 2;
    cut.count = static_cast<std::uint32_t>(divide_up(pixels, cut.pixels));
    return cut;
}

TensorId group_norm_statistics(Graph& g, TensorId x) {
    if (!check_activations(g, "group_norm_statistics", {x})) return {};
    GroupNorm norm{g, x, {}};
    norm.statistics();
    g.add(std::move(norm.node));
    return norm.partial;
}

TensorId group_norm(Graph& g, TensorId x, const Weight& gamma, const Weight& beta, const GroupNormOptions& options) {
    if (!check_activations(g, "group_norm", {x})) return {};
    const Shape& s = g.shape(x);
    if (options.groups == 0 || s.c % options.groups != 0 || s.tokens() > UINT32_MAX ||
        std::uint64_t(s.n) * options.groups > g.caps().max_workgroup_count[0])
        return fail(g, "group_norm", describe(g, x) + " in " + std::to_string(options.groups) + " groups");
    if (!gamma || !beta || gamma.layout != WeightLayout::vector || beta.layout != WeightLayout::vector ||
        gamma.n != s.c || beta.n != s.c)
        return fail(g, "group_norm", describe(g, x) + " with " + describe(gamma) + " and " + describe(beta));
    GroupNorm norm{g, x, options};
    if (options.table) {
        if (g.shape(options.table) != Shape{s.n, 1, 2, s.c} || g.dtype(options.table) != DType::f32)
            return fail(g, "group_norm", describe(g, x) + " with a table " + describe(g, options.table));
        norm.table = options.table;
    } else {
        norm.statistics();
        norm.combine(gamma, beta);
    }
    const TensorId y = norm.apply();
    g.add(std::move(norm.node));
    return y;
}

}  // namespace pumice::ops
