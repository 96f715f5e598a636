#include "graph/weight.hpp"

namespace pumice {

std::uint32_t block_elements(Blocks blocks) {
    if (blocks == Blocks::none) return 1;
    return blocks < Blocks::q2_k ? 32 : 256;
}

std::uint32_t block_bytes(Blocks blocks) {
    constexpr std::uint32_t bytes[] = {0, 18, 20, 22, 24, 34, 84, 110, 144, 176, 210};
    return bytes[static_cast<int>(blocks)];
}

TensorId Weight::in(Graph& graph) const {
    if (blocks != Blocks::none) {
        const auto words = static_cast<std::uint32_t>((n * row_bytes() + 3) / 4);
        return graph.external({1, 1, 1, words}, DType::i32, {range.buffer, range.offset, std::uint64_t(words) * 4},
                              name);
    }
    Shape shape{1, 1, 1, n_padded()};
    DType type = DType::f32;
    if (layout == WeightLayout::rows) shape = {1, 1, n, k};
    if (layout == WeightLayout::packed) shape = {1, taps(), k_padded(), n_padded()};
    if (layout != WeightLayout::vector) type = dtype;
    return graph.external(shape, type, range, name);
}

}  // namespace pumice
