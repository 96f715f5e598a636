#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ActivationPush {
    std::uint32_t x_base, y_base, quads;
};
constexpr double kFlopsPerQuad = 4 * 20;  // an exponential is about that much

}  // namespace

TensorId activation(Graph& g, TensorId x, Activation kind) {
    if (!check_activations(g, "activation", {x})) return {};
    const TensorId y = g.transient(g.shape(x), g.dtype(x));
    const std::string module = module_name("activation", {name_of(g.dtype(x)), mode_of(g)});
    const std::uint64_t quads = g.shape(x).elements() / 4;
    Node node{label(g, "activation"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, kFlopsPerQuad), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        ActivationPush push{};
        push.x_base = b.rows(x, first, count, 4, Access::read);
        push.y_base = b.rows(y, first, count, 4, Access::write);
        push.quads = static_cast<std::uint32_t>(count);
        node.dispatches.push_back(make_dispatch(module, {static_cast<std::uint32_t>(kind)}, std::move(b), push,
                                                spread(g, divide_up(count, kQuadWorkgroup)),
                                                kFlopsPerQuad * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
