// Models in several files: shards, folders, a VAE or a text encoder apart.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.hpp"
#include "weights/names.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// A JSON file that says which file has which tensor (*.safetensors.index.json), as huggingface_hub writes it. The
/// shards lie beside it. Code::bad_format, naming the index, when it lists what is not there.
bool is_shard_index(std::span<const std::byte> file);
Result<WeightFile> open_shards(std::shared_ptr<const MappedFile> index);

/// A folder of Stable Diffusion 1, 2, XL or XL's refiner as diffusers saves it: model_index.json, and a folder a part with
/// config.json and weights (safetensors or .bin, whole or in shards, also where all there is is the variant fp16). Tensors
/// get the names of a single file, OpenCLIP's text encoders also its layout (weights/open_clip_names.hpp); what the
/// configurations know beyond the shapes (heads, prediction, scaling factor) becomes the metadata "pumice.config".
/// A folder with the weights of a single part is opened as that file.
Result<WeightFile> open_folder(const std::filesystem::path&);

/// `base` with one part taken from another file, in whatever naming that has it. Code::bad_format when it has none.
Result<WeightFile> with_part(const WeightFile& base, const WeightFile& part, ModelPart);

}  // namespace pumice
