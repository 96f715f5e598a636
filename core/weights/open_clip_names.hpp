// A text encoder of OpenCLIP in a folder of diffusers: there it is transformers' CLIPTextModel, whose names and layers
// are others. As diffusers' scripts/convert_diffusers_to_original_sdxl.py has them; the projection also is transposed,
// since open_clip multiplies with it from the right and transformers has a linear layer.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/stored_tensor.hpp"

namespace pumice {

/// Whether the tensors are those of a CLIPTextModel, and not of another kind of text encoder.
bool is_clip_text(const std::vector<StoredTensor>&);

/// From transformers to open_clip, each name behind `prefix`: the three projections of an attention become one tensor
/// and the text projection is transposed, both in memory that goes to `buffers` (300 MiB for SD XL in fp16). Buffers of
/// positions are dropped. Code::bad_format names a layer whose projections are not alike.
Result<std::vector<StoredTensor>> as_open_clip(std::vector<StoredTensor>, std::string_view prefix,
                                               std::vector<std::shared_ptr<const void>>& buffers);

/// From open_clip to transformers: a tensor whose name is open_clip's, without prefix, as one or three.
std::vector<OutputTensor> as_transformers(const OutputTensor&);

}  // namespace pumice
