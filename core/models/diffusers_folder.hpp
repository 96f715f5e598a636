// A model as the folder that diffusers saves: model_index.json, and a folder a part with its configuration and weights.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/new_file.hpp"
#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// `like` has the model's geometry. Writes unet, vae and one or two text encoders with their config.json, the scheduler's
/// configuration and, for CLIP's vocabulary, the tokenizers; no safety checker. Names, layouts and configurations are
/// those of runwayml/stable-diffusion-v1-5, stabilityai/stable-diffusion-2-1, stable-diffusion-xl-base-1.0 and
/// stable-diffusion-xl-refiner-1.0, except that SD 2's text encoder keeps the layer that those leave out: its config.json
/// does not count it. Metadata go into the UNet's file. Returns notes for the user. Code::unsupported names what is no
/// Stable Diffusion 1, 2 or XL, or has no CLIP.
Result<std::vector<std::string>> write_diffusers_folder(const OutputModel&, const std::filesystem::path&, Existing,
                                                        const WeightFile& like, const OnWritten&);

}  // namespace pumice
