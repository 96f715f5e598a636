#pragma once

#include <cstdint>

namespace pumice {

/// How activations are stored and computed. Weights are always read in the type the file has.
enum class Precision : std::uint8_t {
    exact,  ///< fp32, fixed order of operations, own special functions: the same bits on every driver
    fp32,   ///< fp32 storage, contractions and built-in functions allowed
    fp16,   ///< fp16 storage, fp32 accumulation
};

}  // namespace pumice
