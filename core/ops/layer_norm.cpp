// layer_norm and softmax: both go over the channels of rows, eight invocations a row (shaders/include/reduce.glsl).
#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct LayerNormPush {
    std::uint32_t x_base, y_base, rows, channels4;
    float eps;
};
struct SoftmaxPush {
    std::uint32_t x_base, y_base, rows, channels4;
};
constexpr std::uint32_t kRowsPerWorkgroup = 8;  // local size over LANES

std::uint32_t rows_per_piece(const Graph& g, TensorId x, double flops_per_element) {
    const Shape& s = g.shape(x);
    return g.rows_per_dispatch(s.rows(), s.c * size_of(g.dtype(x)), flops_per_element * s.c);
}

}  // namespace

TensorId layer_norm(Graph& g, TensorId x, const Weight& gamma, const Weight& beta, float eps) {
    if (!check_activations(g, "layer_norm", {x})) return {};
    const Shape s = g.shape(x);
    if (!gamma || !beta || gamma.layout != WeightLayout::vector || beta.layout != WeightLayout::vector ||
        gamma.n != s.c || beta.n != s.c)
        return fail(g, "layer_norm", describe(g, x) + " with " + describe(gamma) + " and " + describe(beta));
    const TensorId y = g.transient(s, g.dtype(x)), factor = gamma.in(g), shift = beta.in(g);
    const std::string module = module_name("layer_norm", {name_of(g.dtype(x)), mode_of(g)});
    const double flops = 8;
    Node node{label(g, "layer_norm"), {}};
    for_pieces(s.rows(), rows_per_piece(g, x, flops), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        LayerNormPush push{0, 0, static_cast<std::uint32_t>(count), s.c / 4, eps};
        push.x_base = b.rows(x, first, count, s.c, Access::read);
        b.whole(factor, Access::read);
        b.whole(shift, Access::read);
        push.y_base = b.rows(y, first, count, s.c, Access::write);
        node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                spread(g, divide_up(count, kRowsPerWorkgroup)),
                                                flops * double(count * s.c)));
    });
    g.add(std::move(node));
    return y;
}

TensorId softmax(Graph& g, TensorId x) {
    if (!check_activations(g, "softmax", {x})) return {};
    const Shape s = g.shape(x);
    const TensorId y = g.transient(s, g.dtype(x));
    const std::string module = module_name("softmax", {name_of(g.dtype(x)), mode_of(g)});
    const double flops = 50;
    Node node{label(g, "softmax"), {}};
    for_pieces(s.rows(), rows_per_piece(g, x, flops), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        SoftmaxPush push{0, 0, static_cast<std::uint32_t>(count), s.c / 4};
        push.x_base = b.rows(x, first, count, s.c, Access::read);
        push.y_base = b.rows(y, first, count, s.c, Access::write);
        node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                spread(g, divide_up(count, kRowsPerWorkgroup)),
                                                flops * double(count * s.c)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
