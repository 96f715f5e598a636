// Models from one file format into another, tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/new_file.hpp"
#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

enum class OutputFormat : std::uint8_t { safetensors, checkpoint, gguf, diffusers };
/// "safetensors", "ckpt", "gguf", "diffusers"; nothing for another name.
std::optional<OutputFormat> output_format(std::string_view name);
/// By the ending: .safetensors; .ckpt, .pt, .pth, .bin; .gguf; a name without any of these is a folder's.
OutputFormat output_format_of(const std::filesystem::path&);

/// "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "q4_0", … "q6_k"; nothing for another name.
std::optional<StoredType> weight_type(std::string_view name);
/// All of those names.
std::vector<std::string_view> weight_type_names();

struct TensorChoice {
    bool prune = false;  ///< leave out what only training needs: averaged weights, optimizer, loss, noise schedule
    bool ema = false;  ///< take the averaged weights of the UNet (Stable Diffusion's `model_ema.`) instead of the last
};

/// Whether a tensor of this name serves training alone.
bool only_for_training(std::string_view name);

/// The tensors of a file as they are to be written, in the names of a single file. Code::not_found when averaged
/// weights are wanted that the file does not have.
Result<OutputModel> output_model(const WeightFile&, const TensorChoice&);

/// Gives every tensor the type that it has in a model of `type` and a file of `format`:
/// fp32, fp16 and bf16 go to all floats; 8-bit floats to the matrices and convolutions, and the blocks of GGUF to the
/// matrices (those of embeddings left out), where fp16 goes to the rest. Rows that are not made of a type's blocks of
/// 256 take a type of 32 instead (Q2_K and Q3_K: Q4_0, Q4_K: Q5_0, Q5_K: Q5_1, Q6_K: Q8_0), and fp16 where that does
/// not fit either. Without a type all stay as they are, except what the format cannot have: that becomes fp16.
void set_types(OutputModel&, std::optional<StoredType> type, OutputFormat format);

/// Writes a model to `path`. A folder of diffusers needs `like`, a file with the model's geometry, for its
/// configuration files; what belongs to none of its parts is left out. Returns notes for the user, one line each.
/// Errors as NewFile's, the writers', and Code::unsupported for a family that is not written as a folder.
Result<std::vector<std::string>> write_model(const OutputModel&, const std::filesystem::path&, OutputFormat, Existing,
                                             const WeightFile& like, const OnWritten&);

}  // namespace pumice
