// What the engine asks of a method of guidance other than its own. There is none in core: they are plugins
// (host/plugins).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "diffusion/tensor_math.hpp"

namespace pumice {

/// The model's answers to one call of the sampler's, as pictures without noise.
struct GuidanceCall {
    TensorMath& math;
    const Latent& x;          ///< picture + sigma * noise
    const Latent& cond;       ///< with the prompt
    const Latent& uncond;     ///< with the negative prompt; `cond` itself where the scale is 1 or less
    const Latent* perturbed;  ///< see Guidance::perturbed_blocks; null without
    const Latent& denoised;   ///< to be written; none of the others
    double sigma, scale;
};

/// Joins the answers. Used by one request at a time.
class Guidance {
public:
    virtual ~Guidance() = default;
    /// Blocks of the UNet ("middle_block", "input_blocks.7") in which a third answer, to the prompt, has the identity
    /// for self-attention: each token sees itself alone. Empty: there is no third answer.
    virtual const std::vector<std::string>& perturbed_blocks() const = 0;
    virtual Status run(const GuidanceCall&) = 0;
};

}  // namespace pumice
