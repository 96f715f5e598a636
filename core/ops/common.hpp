// What the operators' host sides share: module names, error records, grids and cutting.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "ops/gemm.hpp"

namespace pumice::ops {

/// "f32", "f16", "bf16", "i32", "u8".
const char* name_of(DType);
/// "q4_0", …
const char* name_of(Blocks);
/// "exact" or "fast".
const char* mode_of(const Graph&);
/// The module of a shader file's variant: the stem and the alternatives' names, joined by dots.
std::string module_name(std::string_view stem, std::initializer_list<std::string_view> alternatives);

/// Every id is set and of type f32 or f16 (f32 in Precision::exact), channels a multiple of 4; otherwise fails and
/// returns false.
bool check_activations(Graph&, const char* op, std::initializer_list<TensorId>);

/// A grid of at least `count` workgroups that keeps to the device's limits, going on in y
/// (shaders/include/index.glsl). The shader ignores the surplus.
std::array<std::uint32_t, 3> spread(const Graph&, std::uint64_t count);

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) {
    return (a + b - 1) / b;
}

/// Calls f(first, count) for the pieces of [0, rows).
template <class F>
void for_pieces(std::uint64_t rows, std::uint64_t rows_a_piece, F&& f) {
    for (std::uint64_t first = 0; first < rows; first += rows_a_piece) f(first, std::min(rows_a_piece, rows - first));
}

/// Bindings of a dispatch over some rows of several tensors.
class RowBindings {
public:
    explicit RowBindings(const Graph& graph) : graph_(&graph) {}
    /// Rows [first, first + count) of a tensor, a row being `row_elements`; returns the index of the first, in quads,
    /// from the start of what is bound.
    std::uint32_t rows(TensorId, std::uint64_t first, std::uint64_t count, std::uint64_t row_elements, Access);
    void whole(TensorId id, Access access) { bindings.push_back(graph_->bind(id, access)); }

    std::vector<Binding> bindings;

private:
    const Graph* graph_;
};

/// A dispatch of `module` with these bindings, which are also taken as the bytes that it moves.
template <class Push>
Dispatch make_dispatch(std::string module, std::vector<std::uint32_t> specialization, RowBindings&& bound,
                       const Push& push, std::array<std::uint32_t, 3> groups, double flops) {
    double bytes = 0;
    for (const Binding& b : bound.bindings) bytes += double(b.size);
    const auto count = static_cast<std::uint32_t>(bound.bindings.size());
    return {{std::move(module), std::move(specialization), count, sizeof(Push)},
            std::move(bound.bindings),
            push_words(push),
            groups,
            flops,
            bytes};
}

/// Invocations of a workgroup in the kernels that take one quad of elements each.
inline constexpr std::uint32_t kQuadWorkgroup = 64;
/// Quads of one dispatch over `quads` of them, where no tensor has more than four bytes an element.
std::uint64_t quads_per_dispatch(const Graph&, std::uint64_t quads, double flops_per_quad);

}  // namespace pumice::ops
