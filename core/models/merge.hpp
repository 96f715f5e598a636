// One model made of several, tensor by tensor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

enum class MergeMethod : std::uint8_t {
    weighted_sum,    ///< A * (1 - alpha) + B * alpha
    add_difference,  ///< A + (B - C) * alpha
    slerp,           ///< from A to B along the great circle between their directions, each tensor as one vector
};

struct MergeOptions {
    MergeMethod method = MergeMethod::weighted_sum;
    double alpha = 0.5;  ///< 0 to 1; of add_difference 0 to 2
    /// For tensors of the UNet in place of alpha: 25 numbers for SD 1 and 2 (input blocks 0 to 11, the middle, output
    /// blocks 0 to 11), or for any UNet as many as it has blocks in that order; empty: alpha everywhere.
    std::vector<double> blocks;
};

/// The merged model, in the types, names and metadata of `a`; `c` is asked for by add_difference alone. Tensors that
/// are no floats, and those that the others lack, are a's; `kept` counts the latter. Code::bad_format names a tensor
/// that has another shape in one of them; Code::invalid_argument a wrong number of blocks.
Result<OutputModel> merged_model(const WeightFile& a, const WeightFile& b, const WeightFile* c, const MergeOptions&,
                                 std::size_t& kept);

/// The place of a UNet's tensor among its blocks, `inputs` being the number of input blocks; -1: in none of them.
int unet_block_index(std::string_view name, int inputs);

}  // namespace pumice
