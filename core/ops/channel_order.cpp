// nchw_to_nhwc and nhwc_to_nchw: for latents, noise and small pictures, a picture at a time.
#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct OrderPush {
    std::uint32_t x_base, y_base, pixels, channels;
};

TensorId reorder(Graph& g, const char* op, const char* direction, TensorId x, Shape nhwc) {
    const std::uint64_t picture = nhwc.tokens() * nhwc.c;
    if (g.rows_per_dispatch(nhwc.n, picture * 4, 0) * picture * 4 > binding_limit(g))
        return fail(g, op, describe(g, x) + ": a picture is larger than the device can bind", Code::missing_feature);
    const TensorId y = g.transient(nhwc, DType::f32);
    Node node{label(g, op), {}};
    for (std::uint32_t n = 0; n < nhwc.n; ++n) {
        RowBindings b(g);
        OrderPush push{0, 0, static_cast<std::uint32_t>(nhwc.tokens()), nhwc.c};
        push.x_base = 4 * b.rows(x, n, 1, picture, Access::read);
        push.y_base = 4 * b.rows(y, n, 1, picture, Access::write);
        node.dispatches.push_back(make_dispatch(module_name("channel_order", {direction}), {}, std::move(b), push,
                                                spread(g, divide_up(picture / 4, kQuadWorkgroup)), double(picture)));
    }
    g.add(std::move(node));
    return y;
}

}  // namespace

TensorId nchw_to_nhwc(Graph& g, TensorId x, Shape nhwc) {
    if (!x || g.dtype(x) != DType::f32 || nhwc.c % 4 != 0 || g.shape(x).elements() != nhwc.elements())
        return fail(g, "nchw_to_nhwc",
                    x ? describe(g, x) + " to " + std::to_string(nhwc.c) + " channels, " +
                            std::to_string(nhwc.elements()) + " elements"
                      : "an input is missing");
    return reorder(g, "nchw_to_nhwc", "to_nhwc", x, nhwc);
}

TensorId nhwc_to_nchw(Graph& g, TensorId x) {
    if (!check_activations(g, "nhwc_to_nchw", {x})) return {};
    if (g.dtype(x) != DType::f32) return fail(g, "nhwc_to_nchw", describe(g, x) + " is not f32");
    return reorder(g, "nhwc_to_nchw", "to_nchw", x, g.shape(x));
}

}  // namespace pumice::ops
