// What linear and conv2d share: their kernel's variants and how its pieces are named.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "graph/weight.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {

/// How the kernel brings its operands in: shaders/include/tile_mma.glsl.
enum class GemmPath : std::uint8_t { direct, wide, broadcast, shared };

/// A legal way to run a product; all give the same result (in Precision::exact the same bits).
struct GemmVariant {
    GemmPath path = GemmPath::direct;
    std::uint32_t lanes_n = 1, lanes_m = 1;  ///< invocations of a workgroup along N and M
    std::uint32_t tile_rows() const { return lanes_m * (path == GemmPath::broadcast ? 16 : 8); }  ///< BM
    std::uint32_t tile_columns() const { return lanes_n * (path == GemmPath::wide ? 8 : 4); }     ///< BN
    friend bool operator==(const GemmVariant&, const GemmVariant&) = default;
};

/// y[rows][columns] = x[rows][k] w, for each tap of w.
struct GemmProblem {
    std::uint64_t rows = 0;
    std::uint32_t columns = 0, k = 0;  ///< multiples of 4
    DType x = DType::f32;
};

/// The variants that the device's record allows, the one to take unmeasured first. Never empty.
std::vector<GemmVariant> gemm_variants(const Capabilities&, const GemmProblem&);

/// "linear.f16.wf16.fast.wide"
std::string gemm_module(const char* shader, const GemmVariant&, DType x, DType w, Precision);

/// Bits of the kernel's `flags`, and a value of its constant ACTIVATION beside Activation's:
/// shaders/include/epilogue.glsl has the same names.
inline constexpr std::uint32_t kHasBias = 1, kHasResidual = 2, kHasChannelAdd = 4, kF32Output = 8, kF32Residual = 16;
inline constexpr std::uint32_t kActivationGeglu = 4;

std::uint32_t epilogue_flags(const Graph&, const Weight* bias, TensorId residual, TensorId channel_add, DType output);

/// linear and conv2d with a variant of the caller's choice (a tuner's, a test's), which must be legal.
TensorId linear_with(Graph&, TensorId x, const Weight& w, const LinearOptions&, const GemmVariant&);
TensorId conv2d_with(Graph&, TensorId x, const Weight& w, const Conv2dOptions&, const GemmVariant&);
/// The output's rows, columns and k of these, or an empty problem where the shapes do not fit (the operator then says
/// what is wrong).
GemmProblem linear_problem(const Graph&, TensorId x, const Weight& w);
GemmProblem conv2d_problem(const Graph&, TensorId x, const Weight& w, const Conv2dOptions&);

/// A row of workgroups cannot be longer than this many rows of output.
std::uint32_t most_rows(const Graph&, std::uint32_t tile_rows);

/// Bytes that one binding may have, short enough for 32-bit indices.
std::uint64_t binding_limit(const Graph&);

/// "{1, 64, 64, 320} f16"
std::string describe(const Graph&, TensorId);
std::string describe(const Weight&);
/// Records Code::invalid_argument, or `code`, with the operator's name; the empty id.
TensorId fail(Graph&, const char* op, const std::string& what, Code code = Code::invalid_argument);

/// The graph's scope and the operator's name.
std::string label(const Graph&, const char* op);

/// Bias, residual and w as the operators check them: an empty string when all is well.
std::string check_weight(const Graph&, TensorId x, const Weight& w);
std::string check_bias(const Weight* bias, const Weight& w);
std::string check_like_output(const Graph&, TensorId t, const Shape& y, const char* what);

}  // namespace pumice::ops
