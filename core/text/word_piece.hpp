// BERT's tokenizer: text in, token ids out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// Gives the ids of the reference (github.com/google-research/bert, tokenization.py; Devlin et al. 2019, arXiv
/// 1810.04805) for models without case: control characters go, Chinese characters and punctuation stand alone, letters
/// lose case and accents, and each word is cut into the longest pieces that the vocabulary has, from its left.
/// Immutable once made: any number of threads may use one.
class WordPieces {
public:
    /// `vocabulary`: a file vocab.txt, a token a line, whose number is the id; it has [PAD], [UNK], [CLS] and [SEP].
    /// Code::not_found, Code::io, or Code::bad_format naming file and token.
    static Result<WordPieces> load(const std::filesystem::path& vocabulary);

    /// The ids of a text of any length, without start and end. Code::invalid_argument, naming the byte, if it is not
    /// UTF-8.
    Result<std::vector<std::int32_t>> encode(std::string_view utf8) const;

    /// The text that the ids stand for, a space between words. Code::invalid_argument for an id that is not in the
    /// vocabulary.
    Result<std::string> decode(std::span<const std::int32_t> ids) const;

    std::int32_t comma() const { return comma_; }      ///< ",", or [UNK] where there is none
    std::int32_t start() const { return start_; }      ///< [CLS]
    std::int32_t end() const { return end_; }          ///< [SEP]
    std::int32_t pad() const { return pad_; }          ///< [PAD]
    std::int32_t unknown() const { return unknown_; }  ///< [UNK]
    std::size_t size() const { return ids_.size(); }

private:
    void append_word(std::string_view word, std::vector<std::int32_t>& ids) const;
    std::unordered_map<std::string, std::int32_t> ids_;
    std::vector<std::string> tokens_;  ///< by id
    std::int32_t start_ = 0, end_ = 0, pad_ = 0, unknown_ = 0, comma_ = 0;
};

}  // namespace pumice
