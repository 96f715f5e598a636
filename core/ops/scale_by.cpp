#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ScalePush {
    std::uint32_t x_base, y_base, quads, params_index;
};

}  // namespace

TensorId scale_by(Graph& g, TensorId x, TensorId params, std::uint32_t index, DType dtype, std::uint32_t repeat) {
    if (!check_activations(g, "scale_by", {x})) return {};
    if (g.dtype(x) != DType::f32 || (dtype != DType::f32 && dtype != DType::f16) || repeat == 0)
        return fail(g, "scale_by", describe(g, x) + " to " + name_of(dtype) + ", " + std::to_string(repeat) + " times");
    if (!params || g.dtype(params) != DType::f32 || index >= g.shape(params).elements())
        return fail(g, "scale_by", "there is no parameter " + std::to_string(index));
    Shape shape = g.shape(x);
    const std::uint64_t quads = shape.elements() / 4;
    shape.n *= repeat;
    const TensorId y = g.transient(shape, dtype);
    Node node{label(g, "scale_by"), {}};
    for (std::uint32_t r = 0; r < repeat; ++r)
        for_pieces(quads, quads_per_dispatch(g, quads, 4), [&](std::uint64_t first, std::uint64_t count) {
            RowBindings b(g);
            ScalePush push{0, 0, static_cast<std::uint32_t>(count), index};
            push.x_base = b.rows(x, first, count, 4, Access::read);
            b.whole(params, Access::read);
            push.y_base = b.rows(y, r * quads + first, count, 4, Access::write);
            node.dispatches.push_back(make_dispatch(module_name("scale_by", {name_of(dtype)}), {}, std::move(b), push,
                                                    spread(g, divide_up(count, kQuadWorkgroup)), 4.0 * double(count)));
        });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
