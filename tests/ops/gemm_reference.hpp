// What linear and conv2d must compute, one output at a time. In double it is the measure of tolerances; in float it
// multiplies, adds and activates as Precision::exact does, and must agree to the bit.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "graph/tensor.hpp"
#include "ops/exact_reference.hpp"
#include "ops/ops.hpp"

namespace pumice::test {

template <class T>
struct GemmReference {
    T multiply_add(T sum, float a, float b) const {
        const T product = T(a) * T(b);
        return sum + product;
    }
    T activate(T x, ops::Activation kind) const {
        using ops::Activation;
        if (kind == Activation::relu) return x < 0 ? T(0) : x;
        if (std::uint32_t(kind) >= 16) return x < 0 ? T(std::bit_cast<float>(std::uint32_t(kind))) * x : x;
        if constexpr (std::is_same_v<T, float>) {
            if (kind == Activation::silu) return ops::ExactFunctions{}.exact_silu(x);
            if (kind == Activation::gelu) return ops::ExactFunctions{}.exact_gelu(x);
            if (kind == Activation::quick_gelu) return ops::ExactFunctions{}.exact_quick_gelu(x);
        } else {
            if (kind == Activation::silu) return x / (1 + std::exp(-x));
            if (kind == Activation::gelu) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
            if (kind == Activation::quick_gelu) return x / (1 + std::exp(-1.702 * x));
        }
        return x;
    }
};

/// f32: sums of up to 11520 terms in one float. f16: one rounding of the output, which a driver may do either way.
inline double gemm_tolerance(DType output) {
    return output == DType::f16 ? 1e-3 : 2e-5;
}

}  // namespace pumice::test
