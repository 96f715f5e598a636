// What a request should say when its maker does not care: from the model's own metadata, else from its geometry.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "models/configs.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

struct ModelDefaults {
    std::uint32_t width = 512, height = 512, steps = 20, clip_skip = 1;
    float guidance_scale = 7;
    std::string sampler = "euler_a", schedule = "normal";
};

/// The metadata `pumice.defaults` is a JSON object: {"width", "height", "steps", "cfg", "clip_skip", "sampler",
/// "schedule"}, each optional, the names among those given here. Code::bad_format names file and key.
///
/// Without it the size follows from the family (XL's 1024, 768 for SD 2 with v prediction) and the UNet's width: 512 for
/// Stable Diffusion 1.5's 320 channels and more, 256 from 128 on, 128 below. Models trained up to pure noise begin there:
/// their schedule is sgm_uniform, whose time steps are trailing. A network is trained at one size and makes poor pictures far from it, and small ones learn small
/// pictures.
Result<ModelDefaults> model_defaults(const WeightFile&, const ModelConfig&, const std::string& file_name,
                                     std::span<const std::string> samplers, std::span<const std::string> schedules);

}  // namespace pumice
