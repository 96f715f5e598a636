// Where adapters lie, and those of the command line.
#pragma once

#include <string>
#include <vector>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// paths.loras; else those of AUTOMATIC1111's and ComfyUI's folder names that there are in or beside paths.models.
std::vector<std::string> lora_folders(const host::Settings&);

/// paths.embeddings; else the folders `embeddings` in, beside or above paths.models, as those programs have them.
std::vector<std::string> embedding_folders(const host::Settings&);

/// "NAME", "NAME:0.8", "NAME:0.5:0.8" (text encoder, UNet).
struct LoraOption {
    std::string name, weights;  ///< "" or ":0.5:0.8"
    float text_weight = 1, unet_weight = 1;
};
/// PUMICE_INVALID_ARGUMENT for a weight that is no number.
Expected<LoraOption> lora_option(const std::string& option);

/// "--lora NAME:0.8" as "<lora:NAME:0.8>" at the end of the prompt, and the folder of a file among those that are
/// looked through. PUMICE_INVALID_ARGUMENT for a weight that is no number; PUMICE_NOT_FOUND for a path without a file.
Expected<void> add_lora(const std::string& option, std::string& prompt, std::vector<std::string>& folders);

}  // namespace pumice::cli
