// Writes a checkpoint of random weights as one safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "graph/tensor.hpp"
#include "models/configs.hpp"

namespace pumice {

struct CheckpointRequest {
    ModelConfig config;
    std::string config_json;  ///< for the file's metadata (pumice.config); empty: none
    std::uint64_t seed = 0;
    DType dtype = DType::f16;  ///< f32, f16 or bf16
    std::filesystem::path file;
    bool overwrite = false;
};

struct CheckpointSummary {
    std::size_t tensors = 0;
    std::uint64_t parameters = 0, bytes = 0;
};

/// Writes beside the target and renames when the file is complete and has been read back as the geometry asked for;
/// on an error no file is left. Code::io names the file: it exists (and overwrite is not set), full disk, permission.
Result<CheckpointSummary> write_checkpoint(const CheckpointRequest&);

/// Of a ControlNet for the request's UNet: its input and middle blocks, the convolutions that look at the picture, and
/// those of one pixel behind each block (random like the rest, not zero as before training).
std::vector<TensorSpec> control_tensors(const UnetConfig&);
/// The same for these; config_json is not used.
Result<CheckpointSummary> write_control_checkpoint(const CheckpointRequest&);

}  // namespace pumice
