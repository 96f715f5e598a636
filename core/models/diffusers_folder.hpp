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

/// `like` has the model's geometry. Writes unet, vae and text_encoder with their config.json, the scheduler's
/// configuration and, for CLIP's vocabulary, the tokenizer; no safety checker. Metadata go into the UNet's file. Returns
/// notes for the user. Code::unsupported names another family than Stable Diffusion 1.x.
Result<std::vector<std::string>> write_diffusers_folder(const OutputModel&, const std::filesystem::path&, Existing,
                                                        const WeightFile& like, const OnWritten&);

}  // namespace pumice
