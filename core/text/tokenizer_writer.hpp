// The tokenizer that is built in, as the files that transformers' CLIPTokenizer reads.
#pragma once

#include <filesystem>

#include "base/result.hpp"

namespace pumice {

/// Tokens of CLIP's vocabulary: bytes, bytes that end a word, one for each merge, start and end.
inline constexpr std::uint32_t kClipVocabulary = 49408;

/// Writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json into a folder that exists.
/// Code::io.
Status write_tokenizer_files(const std::filesystem::path& folder);

}  // namespace pumice
