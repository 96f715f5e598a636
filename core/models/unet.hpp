// The UNet of Stable Diffusion 1, 2 and XL (Rombach et al. 2022, arXiv 2112.10752; Podell et al. 2023, arXiv
// 2307.01952), built from the names in the checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "graph/graph.hpp"
#include "models/weight_set.hpp"

namespace pumice {

/// What a control network adds to the UNet after a block; the shape of the block's output, or one picture for all of the
/// batch. Picture i of the batch gets it times params[index + i].
struct UnetResidual {
    std::string from;   ///< who adds it, for messages
    std::string block;  ///< "input_blocks.4", "middle_block"
    /// Added to the block's output itself (T2I-Adapter), or only to the skip it becomes (ControlNet). The middle block has
    /// no skip: there both are one.
    bool to_output = false;
    TensorId tensor;
    TensorId params;
    std::uint32_t index = 0;
};

struct UnetInputs {
    TensorId x;          ///< {n,h,w,in_channels}, already times c_in, in the activation type
    TensorId timesteps;  ///< n f32 values, may be fractional
    TensorId context;    ///< {n,1,tokens,context_dim}, in the activation type
    TensorId vector{};   ///< {n,1,1,vector channels} f32, where the checkpoint has label_emb (SD XL)
    /// Channels of an attention head; 0: all transformers have `heads` heads.
    std::uint32_t head_channels = 0;
    std::span<const UnetResidual> residuals = {};  ///< added in their order
    /// Blocks in which self-attention is the identity: each token gets its own value (perturbed-attention guidance, Ahn
    /// et al. 2024, arXiv 2403.17377).
    std::span<const std::string> perturbed = {};
};

/// Called with the output of each block and its name as in the checkpoint ("time_embed", "input_blocks.0",
/// "middle_block", "output_blocks.3", …), so that tests can keep and compare it.
using BlockHook = std::function<void(const std::string& name, TensorId)>;

/// Appends the network to the graph; `heads` is the number of attention heads of every transformer block, unless
/// head_channels is given. Returns the model output {n,h,w,out_channels}, f32. Sizes that the levels do not divide work:
/// an upsampled tensor takes the size of the skip it meets.
TensorId unet(Graph&, WeightSet&, const UnetInputs&, std::uint32_t heads, const BlockHook& hook = {});

}  // namespace pumice
