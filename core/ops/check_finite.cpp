#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct FinitePush {
    std::uint32_t x_base, quads;
};
constexpr std::uint32_t kQuadsPerInvocation = 8;  // QUADS in shaders/check_finite.comp

}  // namespace

void check_finite(Graph& g, TensorId x, TensorId flag) {
    if (!check_activations(g, "check_finite", {x})) return;
    if (!flag || g.dtype(flag) != DType::i32 || g.shape(flag).elements() != 1) {
        fail(g, "check_finite", "the flag is not one i32");
        return;
    }
    const std::string module = module_name("check_finite", {name_of(g.dtype(x))});
    const std::uint64_t quads = g.shape(x).elements() / 4;
    Node node{label(g, "check_finite"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, 4), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        FinitePush push{0, static_cast<std::uint32_t>(count)};
        push.x_base = b.rows(x, first, count, 4, Access::read);
        b.whole(flag, Access::read_write);
        node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                spread(g, divide_up(count, kQuadWorkgroup * kQuadsPerInvocation)),
                                                4.0 * double(count)));
    });
    g.add(std::move(node));
}

}  // namespace pumice::ops
