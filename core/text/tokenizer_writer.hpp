// The tokenizer that is built in, as the files that transformers' CLIPTokenizer reads.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.hpp"

namespace pumice {

/// Tokens of CLIP's vocabulary: bytes, bytes that end a word, one for each merge, start and end.
inline constexpr std::uint32_t kClipVocabulary = 49408;

/// What fills up a short prompt.
enum class Padding : std::uint8_t {
    end,   ///< the end token, as OpenAI's text encoders were trained
    zero,  ///< token 0, which is "!", as OpenCLIP's were
};

/// Writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json into a folder that exists.
/// Code::io.
Status write_tokenizer_files(const std::filesystem::path& folder, Padding);

}  // namespace pumice
