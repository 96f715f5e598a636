// Textual inversion (Gal et al. 2022, arXiv 2208.01618): vectors that a word of the prompt stands for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// The vectors of one text encoder, {count, width} row by row.
struct EmbeddingVectors {
    std::uint32_t count = 0, width = 0;
    std::vector<float> values;
};

/// What a file of embeddings has. Layouts: AUTOMATIC1111's .pt (string_to_param "*", modules/textual_inversion there)
/// and kohya's .safetensors (emb_params); diffusers' single tensor under the name of its word; SD XL's clip_l and
/// clip_g.
struct TextualInversion {
    std::string name;  ///< what stands in the prompt: the file's, without its ending
    std::string file;
    EmbeddingVectors first;   ///< of SD 1's or 2's text encoder, or XL's first (clip_l)
    EmbeddingVectors second;  ///< of XL's second (clip_g); empty in others

    /// Errors are one line that names the file: WeightFile::open's, and Code::bad_format for one that has no vectors,
    /// or more than 75.
    static Result<TextualInversion> open(const std::filesystem::path&);
    std::uint32_t count() const { return first.count > 0 ? first.count : second.count; }
    bool for_xl() const { return second.count > 0; }
};

}  // namespace pumice
