#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "ops/gemm.hpp"

namespace pumice::ops {
namespace {

/// shaders/repack.comp
struct RepackParameters {
    std::uint32_t rows, row0, n, k, n_padded, k_quads;
};

}  // namespace

void repack(Graph& g, TensorId source, DType source_dtype, const Weight& w, std::uint32_t row0, std::uint32_t rows) {
    const std::uint64_t row_bytes = std::uint64_t(w.k) * w.taps() * size_of(source_dtype);
    const bool fits = source && w && w.layout == WeightLayout::packed && rows > 0 &&
                      (source_dtype == w.dtype || (source_dtype == DType::f32 && size_of(w.dtype) == 2)) &&
                      std::uint64_t(row0) + rows <= w.n && (!w.geglu || w.n % 8 == 0) &&
                      rows * row_bytes <= g.info(source).bytes() &&
                      (size_of(source_dtype) == 4 || size_of(source_dtype) == 2);
    if (!fits) {
        fail(g, "repack",
             fmt::format("rows {} to {} from {} do not fit {}", row0, std::uint64_t(row0) + rows, describe(g, source),
                         describe(w)));
        return;
    }
    const TensorId packed = w.in(g);
    const std::uint64_t source_bytes = (rows * row_bytes + 15) / 16 * 16;
    if (source_bytes > binding_limit(g) || g.info(packed).bytes() > binding_limit(g)) {
        fail(g, "repack", describe(w) + " is larger than the device can bind", Code::missing_feature);
        return;
    }
    // The rows of zeros at the end belong to the last row range.
    const std::uint32_t all = rows + (row0 + rows == w.n ? w.n_padded() - w.n : 0);
    const RepackParameters p{all, row0, w.n, w.k, w.n_padded(), w.k_padded() / 4};

    const Capabilities& caps = g.caps();
    const bool processor = caps.type == DeviceType::cpu || caps.subgroup_size <= 8;
    const std::uint32_t lanes = processor ? std::bit_floor(std::clamp(caps.subgroup_size, 1u, 64u)) : 64;
    const char* module = size_of(source_dtype) == 2 ? "repack.b16" : "repack.b32";
    if (source_dtype != w.dtype) module = w.dtype == DType::f16 ? "repack.f32_f16" : "repack.f32_bf16";
    Dispatch d;
    d.kernel = {module,
                {lanes, w.taps(), w.geglu ? 1u : 0u},
                2,
                sizeof(RepackParameters)};
    d.bindings = {{source, 0, source_bytes, Access::read}, g.bind(packed, Access::write)};
    d.push = push_words(p);
    d.groups = {(all + lanes - 1) / lanes, p.k_quads, 1};
    d.bytes = 2.0 * static_cast<double>(rows * row_bytes);
    g.add({label(g, "repack"), {std::move(d)}});
}

}  // namespace pumice::ops
