// Adapters written into a model, and taken out of one again.
#pragma once

#include <cstdint>
#include <memory>

#include "adapters/adapter.hpp"
#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// Puts the adapters into the tensors of a model made by output_model (models/convert.hpp): each is read whole when it
/// is written, changed as the device would change it, and rounded to its type. Gives the number of tensors changed. The
/// set outlives the model.
std::size_t bake_adapters(OutputModel&, std::shared_ptr<const AdapterSet>);

struct ExtractOptions {
    std::uint32_t rank = 32;      ///< of linear layers and 1x1 convolutions
    std::uint32_t conv_rank = 0;  ///< of larger convolutions; 0: the same
};

/// What an extraction gave, complete when the model is written.
struct ExtractedShare {
    double squares = 0, captured = 0;  ///< of the differences' elements, and of what the LoRA has of them
    std::size_t modules = 0;
    std::size_t other = 0;  ///< tensors that differ, but that a LoRA cannot change: norms, biases, embeddings
};

struct ExtractedLora {
    OutputModel model;
    std::shared_ptr<ExtractedShare> share;
};

/// The difference of a model to the one it was trained from, as a LoRA under kohya-ss/sd-scripts' names with
/// alpha = rank: of each matrix the best approximation of that rank (Eckart and Young 1936), by the singular value
/// decomposition; of large ones randomized with two power iterations (Halko, Martinsson and Tropp 2011, SIAM Review
/// 53:2, algorithms 4.4 and 5.1). A module is decomposed when it is written. Modules without a difference are left out.
/// Code::invalid_argument for a rank of 0; Code::bad_format for a tensor of another shape in the two;
/// Code::unsupported when nothing differs.
Result<ExtractedLora> extract_lora(const WeightFile& tuned, const WeightFile& base, const ExtractOptions&);

}  // namespace pumice
