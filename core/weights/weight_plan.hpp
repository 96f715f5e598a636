// What a tensor of a file becomes on the device.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "graph/weight.hpp"
#include "weights/stored_tensor.hpp"

namespace pumice {

/// How the operators read a tensor.
enum class WeightUse : std::uint8_t {
    linear,  ///< [n, k]: packed
    conv,    ///< [n, k, kh, kw]: packed; a 1x1 convolution may be stored as [n, k], a linear layer as [n, k, 1, 1]
    geglu,   ///< [2n, k], values then gates: packed with their columns interleaved
    vector,  ///< [n]: f32
    geglu_vector,  ///< [2n], the bias of a geglu weight: f32, interleaved as its columns are
    table,         ///< [n, k]: rows as in the file
};

/// The weight that a tensor becomes, without its memory. Code::bad_format when the shape does not suit the use,
/// Code::unsupported when the element type cannot be used; both name the tensor.
Result<Weight> planned_weight(const StoredTensor&, WeightUse);
/// Bytes of a weight on the device.
std::uint64_t device_bytes(const Weight&);

}  // namespace pumice
