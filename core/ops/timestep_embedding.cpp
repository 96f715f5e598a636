#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct TimestepPush {
    std::uint32_t rows, frequencies;
};

}  // namespace

TensorId timestep_embedding(Graph& g, TensorId timesteps, std::uint32_t n, std::uint32_t dim) {
    if (!timesteps || g.dtype(timesteps) != DType::f32 || g.shape(timesteps).elements() < n || n == 0 || dim == 0 ||
        dim % 4 != 0)
        return fail(g, "timestep_embedding",
                    (timesteps ? describe(g, timesteps) : "nothing") + " to " + std::to_string(n) + " rows of " +
                        std::to_string(dim));
    const TensorId y = g.transient({n, 1, 1, dim}, DType::f32);
    RowBindings b(g);
    b.whole(timesteps, Access::read);
    b.whole(y, Access::write);
    const std::uint64_t count = std::uint64_t(n) * dim / 2;
    Node node{label(g, "timestep_embedding"), {}};
    node.dispatches.push_back(make_dispatch("timestep_embedding", {}, std::move(b), TimestepPush{n, dim / 2},
                                            spread(g, divide_up(count, kQuadWorkgroup)), 100.0 * double(count)));
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
