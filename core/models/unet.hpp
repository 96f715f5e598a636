// The UNet of Stable Diffusion 1.x (Rombach et al. 2022, arXiv 2112.10752), built from the names in the checkpoint.
#pragma once

#include <functional>
#include <string>

#include "graph/graph.hpp"
#include "models/weight_set.hpp"

namespace pumice {

struct UnetInputs {
    TensorId x;          ///< {n,h,w,in_channels}, already times c_in, in the activation type
    TensorId timesteps;  ///< n f32 values, may be fractional
    TensorId context;    ///< {n,1,tokens,context_dim}, in the activation type
};

/// Called with the output of each block and its name as in the checkpoint ("time_embed", "input_blocks.0",
/// "middle_block", "output_blocks.3", …), so that tests can keep and compare it.
using BlockHook = std::function<void(const std::string& name, TensorId)>;

/// Appends the network to the graph; `heads` is the number of attention heads of every transformer block. Returns the
/// model output {n,h,w,out_channels}, f32. Sizes that the levels do not divide work: an upsampled tensor takes the
/// size of the skip it meets.
TensorId unet(Graph&, WeightSet&, const UnetInputs&, std::uint32_t heads, const BlockHook& hook = {});

}  // namespace pumice
