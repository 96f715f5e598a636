#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

/// shaders/dequantize.comp
struct DequantizePush {
    std::uint32_t first, quads;
    std::uint32_t n, n_padded;
    std::uint32_t row_bytes;
    std::uint32_t geglu;
};

}  // namespace

TensorId dequantize(Graph& g, const Weight& w) {
    const bool fits = w && w.blocks != Blocks::none && w.layout == WeightLayout::packed && w.taps() == 1 && w.n > 0 &&
                      w.k > 0 && w.k % block_elements(w.blocks) == 0 && (!w.geglu || w.n % 8 == 0);
    if (!fits) return fail(g, "dequantize", describe(w) + " is not made of blocks");
    const TensorId blocks = w.in(g);
    if (g.info(blocks).bytes() > binding_limit(g))
        return fail(g, "dequantize", describe(w) + " is larger than the device can bind", Code::missing_feature);
    const TensorId y = g.transient({1, 1, w.k_padded(), w.n_padded()}, g.activation());
    const std::uint64_t quads = g.shape(y).elements() / 4;
    Node node{label(g, "dequantize"), {}};
    for_pieces(quads, quads_per_dispatch(g, quads, 16), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        b.whole(blocks, Access::read);
        const std::uint32_t base = b.rows(y, first, count, 4, Access::write);
        // A piece starts at the alignment of bindings, so that what is bound begins with it.
        if (base != 0) g.fail({Code::internal, "dequantize: a piece that is not aligned"});
        const DequantizePush push{static_cast<std::uint32_t>(first),
                                  static_cast<std::uint32_t>(count),
                                  w.n,
                                  w.n_padded(),
                                  static_cast<std::uint32_t>(w.row_bytes()),
                                  w.geglu ? 1u : 0u};
        node.dispatches.push_back(make_dispatch(module_name("dequantize", {name_of(w.blocks), name_of(g.dtype(y))}), {},
                                                std::move(b), push, spread(g, divide_up(count, kQuadWorkgroup)),
                                                16.0 * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace pumice::ops
