// The names that a model's tensors have in other files, and those they have in a single-file checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/stored_tensor.hpp"

namespace pumice {

/// A part of a model that has a file of its own, in the naming of single files.
enum class ModelPart : std::uint8_t {
    unet,  ///< "model.diffusion_model.…"
    vae,   ///< "first_stage_model.…"
    text,  ///< "cond_stage_model.transformer.…", CLIP in the naming of transformers
};
std::string_view part_prefix(ModelPart);

/// The tensors of one part under single-file names, from diffusers' naming (its VAE's older attention names too; layout
/// as diffusers' conversion script scripts/convert_original_stable_diffusion_to_diffusers.py has it), from the
/// original naming without prefix or with any of the usual ones. Those whose name is none of a part's keep it behind
/// the prefix, so that what a file lacks is named as it should be.
std::vector<StoredTensor> as_single_file(std::vector<StoredTensor>, ModelPart);

/// Takes off what training wrappers put before every name ("module.").
void strip_common_prefixes(std::vector<StoredTensor>&);

}  // namespace pumice
