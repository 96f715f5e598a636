// A second pass at a larger size over what a first one made ("hires fix" of the web UI).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "diffusion/sampler.hpp"
#include "graph/tensor.hpp"
#include "pipelines/control.hpp"
#include "pipelines/pixels.hpp"

namespace pumice {

struct HiresOptions {
    std::uint32_t width = 0, height = 0;  ///< pixels, multiples of 8, no smaller than the first pass's; 0: none
    std::uint32_t steps = 0;              ///< that are done; 0: the first pass's
    float strength = 0.7f;                ///< above 0, up to 1: how much of the way from noise is gone
    std::shared_ptr<Sampler> sampler;     ///< of this pass alone
    std::vector<Control> controls;        ///< with pictures of this size
    /// Makes a picture of the size from a smaller one. Without it the latent is enlarged.
    std::function<Result<Pixels>(const Pixels&, std::uint32_t width, std::uint32_t height)> upscale;
    bool given() const { return width > 0 && height > 0; }
};

/// Latents {n, c, h, w}, of `from` (NHWC), interpolated linearly to {n, height, width, c}, NHWC. Edges are drawn out.
/// In double and in order: the same everywhere.
std::vector<float> enlarge_latents(std::span<const float> nchw, const Shape& from, std::uint32_t height,
                                   std::uint32_t width);

/// Steps of a whole run, of which the last `steps` are done with this strength: floor(steps / min(strength, 0.999)).
std::uint32_t whole_steps(std::uint32_t steps, double strength);

}  // namespace pumice
