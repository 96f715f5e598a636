#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct RandomPush {
    std::uint32_t y_base;
    std::uint32_t first_pixel, count;
    std::uint32_t pixels, channels;
    std::uint32_t seed_low, seed_high, draw;
};

}  // namespace

TensorId random_normal(Graph& g, Shape shape, std::span<const std::uint64_t> seeds, std::uint32_t offset) {
    if (shape.c % 4 != 0 || shape.elements() == 0 || seeds.size() != shape.n || shape.tokens() * shape.c > UINT32_MAX)
        return fail(g, "random_normal",
                    std::to_string(seeds.size()) + " seeds for " + std::to_string(shape.n) + " pictures of " +
                        std::to_string(shape.c) + " channels");
    const TensorId y = g.transient(shape, DType::f32);
    const double flops = 200.0 * shape.c;
    Node node{label(g, "random_normal"), {}};
    for (std::uint32_t n = 0; n < shape.n; ++n)
        for_pieces(shape.tokens(), g.rows_per_dispatch(shape.tokens(), shape.c * 4, flops),
                   [&](std::uint64_t first, std::uint64_t count) {
                       RowBindings b(g);
                       RandomPush push{0,
                                       static_cast<std::uint32_t>(first),
                                       static_cast<std::uint32_t>(count),
                                       static_cast<std::uint32_t>(shape.tokens()),
                                       shape.c,
                                       static_cast<std::uint32_t>(seeds[n]),
                                       static_cast<std::uint32_t>(seeds[n] >> 32),
                                       offset};
                       push.y_base = b.rows(y, n * shape.tokens() + first, count, shape.c, Access::write);
                       node.dispatches.push_back(make_dispatch(
                           "random_normal", {}, std::move(b), push,
                           spread(g, divide_up(count * shape.c / 4, kQuadWorkgroup)), flops * double(count)));
                   });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
