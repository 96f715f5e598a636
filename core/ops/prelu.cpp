#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct PreluPush {
    std::uint32_t x_base, y_base, quads, channels4, slopes4;
};

}  // namespace

TensorId prelu(Graph& g, TensorId x, const Weight& slopes) {
    if (!check_activations(g, "prelu", {x})) return {};
    const Shape& shape = g.shape(x);
    if (!slopes || slopes.layout != WeightLayout::vector || slopes.n > shape.c)
        return fail(g, "prelu", describe(g, x) + " with slopes " + describe(slopes));
    const TensorId y = g.transient(shape, g.dtype(x)), s = slopes.in(g);
    const std::string module = module_name("prelu", {name_of(g.dtype(x)), mode_of(g)});
    const std::uint32_t channels4 = shape.c / 4, slopes4 = slopes.n_padded() / 4;
    const std::uint64_t rows = shape.rows();
    Node node{label(g, "prelu"), {}};
    // Cut by pixels: a piece begins with channel 0.
    for_pieces(rows, g.rows_per_dispatch(rows, 16ull * channels4, 8.0 * channels4),
               [&](std::uint64_t first, std::uint64_t count) {
                   RowBindings b(g);
                   PreluPush push{0, 0, static_cast<std::uint32_t>(count * channels4), channels4, slopes4};
                   push.x_base = b.rows(x, first, count, 4ull * channels4, Access::read);
                   b.whole(s, Access::read);
                   push.y_base = b.rows(y, first, count, 4ull * channels4, Access::write);
                   node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                           spread(g, divide_up(count * channels4, kQuadWorkgroup)),
                                                           8.0 * double(count * channels4)));
               });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
