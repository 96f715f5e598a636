// Seeded random weights, scaled so that activations stay finite in half precision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/tensor.hpp"
#include "models/configs.hpp"

namespace pumice {

/// Mean and standard deviation of a tensor's elements. Matrices have gain / sqrt(fan in); the last layer of each
/// residual branch and of each network has a small gain, so that sums over many blocks stay of order one; norms are
/// near one, biases near zero.
struct Distribution {
    double mean = 0, deviation = 1;
};
Distribution distribution(const TensorSpec&);

/// Elements of one tensor in order. They depend on seed, the tensor's name and the distribution, not on other tensors;
/// made of integers and correctly rounded arithmetic, so a seed gives the same bytes everywhere.
class RandomElements {
public:
    /// dtype: f32, f16 or bf16.
    RandomElements(std::uint64_t seed, const TensorSpec&, DType dtype);
    /// Fills with the next elements; the size is a multiple of four elements but for the last call.
    void next(std::span<std::byte> to);

private:
    DType dtype_;
    std::uint64_t state_;
    std::vector<std::uint32_t> values_;  ///< bits of 65,536 normal numbers, already scaled and rounded
};

}  // namespace pumice
