#include "weights/weight_plan.hpp"

#include <algorithm>
#include <span>

#include <fmt/format.h>

namespace pumice {
namespace {

// Values and gates come in groups of two, and the output's channels in groups of four.
constexpr std::uint32_t kGegluRows = 8;
constexpr std::uint64_t kMaxKernel = 64;

Error wrong_shape(const StoredTensor& t, const char* wanted) {
    return {Code::bad_format, fmt::format("tensor '{}' has shape {}, but {} is needed", printable(t.name),
                                          shape_string(t.shape), wanted)};
}

Blocks blocks_of(StoredType type) {
    switch (type) {
        case StoredType::q4_0:
            return Blocks::q4_0;
        case StoredType::q4_1:
            return Blocks::q4_1;
        case StoredType::q5_0:
            return Blocks::q5_0;
        case StoredType::q5_1:
            return Blocks::q5_1;
        case StoredType::q8_0:
            return Blocks::q8_0;
        case StoredType::q2_k:
            return Blocks::q2_k;
        case StoredType::q3_k:
            return Blocks::q3_k;
        case StoredType::q4_k:
            return Blocks::q4_k;
        case StoredType::q5_k:
            return Blocks::q5_k;
        case StoredType::q6_k:
            return Blocks::q6_k;
        default:
            return Blocks::none;
    }
}

bool fits(std::span<const std::uint64_t> shape) {
    return std::all_of(shape.begin(), shape.end(), [](std::uint64_t n) { return n > 0 && n <= UINT32_MAX / 4; });
}

Status plan_packed(const StoredTensor& t, WeightUse use, Weight& w) {
    const std::size_t rank = t.shape.size();
    if ((rank != 2 && rank != 4) || !fits(t.shape))
        return wrong_shape(t, "[n, k] or [n, k, kernel height, kernel width]");
    w.layout = WeightLayout::packed;
    w.n = static_cast<std::uint32_t>(t.shape[0]);
    w.k = static_cast<std::uint32_t>(t.shape[1]);
    if (rank == 4) {
        if (t.shape[2] > kMaxKernel || t.shape[3] > kMaxKernel) return wrong_shape(t, "a kernel of at most 64 x 64");
        w.kernel_h = static_cast<std::uint32_t>(t.shape[2]);
        w.kernel_w = static_cast<std::uint32_t>(t.shape[3]);
    }
    if (use != WeightUse::conv && w.taps() != 1) return wrong_shape(t, "[n, k]");
    // ggml's blocks run along the last axis, so that only a matrix has them.
    if (rank == 2) w.blocks = blocks_of(t.dtype);
    w.geglu = use == WeightUse::geglu;
    if (w.geglu && w.n % kGegluRows != 0) return wrong_shape(t, "[n, k] with n a multiple of 8");
    return {};
}

Status plan_vector(const StoredTensor& t, WeightUse use, Weight& w) {
    if (t.shape.size() != 1 || !fits(t.shape)) return wrong_shape(t, "[n]");
    w.layout = WeightLayout::vector;
    w.dtype = DType::f32;
    w.n = static_cast<std::uint32_t>(t.shape[0]);
    w.k = 1;
    w.geglu = use == WeightUse::geglu_vector;
    if (w.geglu && w.n % kGegluRows != 0) return wrong_shape(t, "[n] with n a multiple of 8");
    return {};
}

}  // namespace

Result<Weight> planned_weight(const StoredTensor& t, WeightUse use) {
    Weight w;
    w.name = t.name;
    switch (t.dtype) {
        case StoredType::f64:
        case StoredType::f32:
            w.dtype = DType::f32;
            break;
        case StoredType::f16:
        // Every value of the 8-bit types is a half. Of blocks, halves keep more than the quantization left.
        case StoredType::f8_e4m3:
        case StoredType::f8_e5m2:
        case StoredType::q4_0:
        case StoredType::q4_1:
        case StoredType::q5_0:
        case StoredType::q5_1:
        case StoredType::q8_0:
        case StoredType::q2_k:
        case StoredType::q3_k:
        case StoredType::q4_k:
        case StoredType::q5_k:
        case StoredType::q6_k:
            w.dtype = DType::f16;
            break;
        case StoredType::bf16:
            w.dtype = DType::bf16;
            break;
        default:
            return Error{Code::unsupported,
                         fmt::format("tensor '{}' has elements of type {}, which no weight of a network has",
                                     printable(t.name), to_string(t.dtype))};
    }
    if (use == WeightUse::table) {
        if (t.shape.size() != 2 || !fits(t.shape)) return wrong_shape(t, "[n, k]");
        w.layout = WeightLayout::rows;
        w.n = static_cast<std::uint32_t>(t.shape[0]);
        w.k = static_cast<std::uint32_t>(t.shape[1]);
    } else if (use == WeightUse::vector || use == WeightUse::geglu_vector) {
        PUMICE_TRY(plan_vector(t, use, w));
    } else {
        PUMICE_TRY(plan_packed(t, use, w));
    }
    return w;
}

std::uint64_t device_bytes(const Weight& w) {
    if (w.blocks != Blocks::none) return w.n * w.row_bytes();
    const std::uint64_t n = w.layout == WeightLayout::rows ? w.n : w.n_padded();
    return n * w.k_padded() * w.taps() * size_of(w.dtype);
}

}  // namespace pumice
