#include "graph/weight.hpp"

namespace pumice {

TensorId Weight::in(Graph& graph) const {
    Shape shape{1, 1, 1, n_padded()};
    DType type = DType::f32;
    if (layout == WeightLayout::rows) shape = {1, 1, n, k};
    if (layout == WeightLayout::packed) shape = {1, taps(), k_padded(), n_padded()};
    if (layout != WeightLayout::vector) type = dtype;
    return graph.external(shape, type, range, name);
}

}  // namespace pumice
