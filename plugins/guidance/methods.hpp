// The methods of guidance of this plugin.
#pragma once

#include <vector>

#include "pumice/sdk.hpp"

namespace pumice::guidance {

using sdk::Guiding;
using sdk::Tensor;

struct Method {
    pumice_guidance_descriptor descriptor;
    void (*run)(Guiding&);
};

const std::vector<Method>& methods();

/// Where the parameter "blocks" of perturbed_attention stands.
inline constexpr std::size_t kPerturbedBlocks = 1;

}  // namespace pumice::guidance
