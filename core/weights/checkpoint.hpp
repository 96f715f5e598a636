// PyTorch checkpoints (.ckpt, .pt, .pth, .bin), both layouts, without PyTorch and without running anything of them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// By the first bytes: a zip archive, or a pickle.
bool is_checkpoint(std::span<const std::byte> file);

/// Tensors that the file stores as they are lie in its mapping; those of compressed archives and those that are not
/// dense (transposed, strided, expanded) are unpacked into memory, to a limit that a file which is what it seems stays
/// below. Code::bad_format: what is damaged, or what the file tries to import beyond what weights need.
Result<WeightFile> open_checkpoint(std::shared_ptr<const MappedFile>);

}  // namespace pumice
