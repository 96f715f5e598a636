#include "ops/common.hpp"

namespace pumice::ops {

const char* name_of(DType t) {
    switch (t) {
        case DType::f32:
            return "f32";
        case DType::f16:
            return "f16";
        case DType::bf16:
            return "bf16";
        case DType::i32:
            return "i32";
        case DType::u8:
            return "u8";
    }
    return "?";
}

const char* name_of(Blocks blocks) {
    constexpr const char* names[] = {"none", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0",
                                     "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"};
    return names[static_cast<int>(blocks)];
}

const char* mode_of(const Graph& g) {
    return g.precision() == Precision::exact ? "exact" : "fast";
}

std::string module_name(std::string_view stem, std::initializer_list<std::string_view> alternatives) {
    std::string name(stem);
    for (const std::string_view a : alternatives) name.append(".").append(a);
    return name;
}

bool check_activations(Graph& g, const char* op, std::initializer_list<TensorId> ids) {
    for (const TensorId id : ids) {
        if (!id) {
            fail(g, op, "an input is missing");
            return false;
        }
        const TensorInfo& t = g.info(id);
        if (t.shape.c % 4 != 0 || t.shape.elements() == 0) {
            fail(g, op, describe(g, id) + ": channels must be a multiple of 4, and no size 0");
            return false;
        }
        if (t.dtype != DType::f32 && t.dtype != DType::f16) {
            fail(g, op, describe(g, id) + " is none of f32 and f16");
            return false;
        }
        if (t.dtype == DType::f16 && g.precision() == Precision::exact) {
            fail(g, op, describe(g, id) + " in exact precision");
            return false;
        }
    }
    return true;
}

std::array<std::uint32_t, 3> spread(const Graph& g, std::uint64_t count) {
    const std::uint64_t most = g.caps().max_workgroup_count[0];
    const std::uint64_t rows = divide_up(count, most);
    return {static_cast<std::uint32_t>(divide_up(count, rows)), static_cast<std::uint32_t>(rows), 1};
}

std::uint32_t RowBindings::rows(TensorId id, std::uint64_t first, std::uint64_t count, std::uint64_t row_elements,
                                Access access) {
    std::uint32_t base = 0;
    bindings.push_back(graph_->bind(id, first * row_elements, count * row_elements, access, base));
    return base / 4;
}

std::uint64_t quads_per_dispatch(const Graph& g, std::uint64_t quads, double flops_per_quad) {
    // Rows of 64 quads: a piece's first element is aligned whatever the device asks for.
    constexpr std::uint64_t row = 64;
    return row * g.rows_per_dispatch(divide_up(quads, row), row * 16, double(row) * flops_per_quad);
}

}  // namespace pumice::ops
