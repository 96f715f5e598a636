// A model's own merges.txt and vocab.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "text/bpe.hpp"

namespace pumice {

/// The layout of OpenAI's and Hugging Face's CLIP tokenizers: merges.txt has a line "left right" for each merge after
/// a first line "#version…"; vocab.json maps each token, as text, to its id. Bytes are written as printable characters
/// and the end of a word as "</w>".
struct TokenizerFiles {
    BytePairs pairs;
    std::vector<std::int32_t> id_of_piece;
    std::int32_t start = 0, end = 0;

    static Result<TokenizerFiles> read(const std::filesystem::path& folder);
};

}  // namespace pumice
