#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct GuidePush {
    std::uint32_t x_base, uncond_base, cond_base, y_base, quads, params_index;
};

enum class Take : std::uint8_t { both, first, second };

TensorId guide(Graph& g, TensorId x, TensorId model_output, Take take, TensorId params, std::uint32_t index,
               TensorId out) {
    if (!check_activations(g, "guide", {x, model_output})) return {};
    const Shape shape = g.shape(x);
    Shape twice = shape;
    twice.n *= 2;
    const bool two = g.shape(model_output) == twice, guided = two && take == Take::both;
    if (g.dtype(x) != DType::f32 || !(two || (take == Take::both && g.shape(model_output) == shape)))
        return fail(g, "guide", describe(g, model_output) + " for x " + describe(g, x));
    if (out && (g.shape(out) != shape || g.dtype(out) != DType::f32))
        return fail(g, "guide", "output " + describe(g, out) + " for x " + describe(g, x));
    if (!params || g.dtype(params) != DType::f32 || index + 3 > g.shape(params).elements())
        return fail(g, "guide",
                    "there are no parameters " + std::to_string(index) + " to " + std::to_string(index + 2));

    const TensorId y = out ? out : g.transient(shape, DType::f32);
    const std::string module = module_name("guide", {name_of(g.dtype(model_output))});
    const std::uint64_t quads = shape.elements() / 4;
    const double flops = 4 * 6;
    Node node{label(g, "guide"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, flops), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        GuidePush push{};
        push.x_base = b.rows(x, first, count, 4, Access::read);
        push.uncond_base = b.rows(model_output, first, count, 4, Access::read);
        push.cond_base =
            b.rows(model_output, (guided || take == Take::second ? quads : 0) + first, count, 4, Access::read);
        b.whole(params, Access::read);
        push.y_base = b.rows(y, first, count, 4, Access::write);
        push.quads = static_cast<std::uint32_t>(count);
        push.params_index = index;
        node.dispatches.push_back(make_dispatch(module, {guided ? 1u : 0u}, std::move(b), push,
                                                spread(g, divide_up(count, kQuadWorkgroup)), flops * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace

TensorId guide(Graph& g, TensorId x, TensorId model_output, TensorId params, std::uint32_t index, TensorId out) {
    return guide(g, x, model_output, Take::both, params, index, out);
}

TensorId guide_half(Graph& g, TensorId x, TensorId model_output, std::uint32_t half, TensorId params,
                    std::uint32_t index, TensorId out) {
    return guide(g, x, model_output, half == 0 ? Take::first : Take::second, params, index, out);
}

}  // namespace pumice::ops
