// OpenAI's CLIP tokenizer: text in, token ids out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/bpe.hpp"
#include "text/regex.hpp"
#include "text/word_piece.hpp"

namespace pumice {

/// Tokens that CLIP's text encoders take at once: start, 75 of the prompt, end.
inline constexpr std::size_t tokens_per_chunk = 77;

/// Tokenizer::chunk_tokens() of them.
using TokenRow = std::vector<std::int32_t>;

/// Gives exactly the ids of the reference (github.com/openai/CLIP, simple_tokenizer.py, without ftfy): HTML's character
/// references resolved twice, white space cleaned, lower-cased, split by a pattern, then byte pair encoding. Immutable
/// once made: any number of threads may use one.
class Tokenizer {
public:
    /// With CLIP's own vocabulary of 49408 tokens, which is part of the library. Takes a few milliseconds.
    static Result<Tokenizer> embedded();

    /// With a model's own: `folder`/merges.txt and, for the ids, `folder`/vocab.json (or `folder`/tokenizer/…, as
    /// diffusers has them). Without vocab.json the ids follow from the merges, as in CLIP's. Code::not_found,
    /// Code::io, or Code::bad_format naming file and line or token.
    static Result<Tokenizer> load(const std::filesystem::path& folder);

    /// BERT's, for a text encoder of so many positions: see text/word_piece.hpp.
    static Tokenizer of_word_pieces(WordPieces, std::size_t positions);

    /// The ids of a text of any length, without start and end. "<|startoftext|>" and "<|endoftext|>" in it become
    /// those tokens. Code::invalid_argument, naming the byte, if it is not UTF-8.
    Result<std::vector<std::int32_t>> encode(std::string_view utf8) const;

    /// The text that the ids stand for, a space after each word; bytes that are not UTF-8 become U+FFFD.
    /// Code::invalid_argument for an id that is not in the vocabulary.
    Result<std::string> decode(std::span<const std::int32_t> ids) const;

    /// Tokens that the text encoder takes at once, with start and end.
    std::size_t chunk_tokens() const { return chunk_tokens_; }
    /// Start, the first chunk_tokens() - 2 of `ids`, end, and `pad` to the row's end: SD 1 pads with end() (see pad()),
    /// OpenCLIP with 0.
    TokenRow row(std::span<const std::int32_t> ids, std::int32_t pad) const;

    std::int32_t start() const { return start_; }
    std::int32_t end() const { return end_; }
    std::int32_t pad() const { return word_pieces_ ? word_pieces_->pad() : end_; }
    std::int32_t comma() const { return comma_; }  ///< "," as a word of its own, where long prompts are cut
    std::size_t size() const { return word_pieces_ ? word_pieces_->size() : piece_of_id_.size() + 2; }  ///< tokens, with start and end

private:
    struct IdPiece {
        std::int32_t id;
        BytePairs::Piece piece;
    };

    Tokenizer(BytePairs pairs, Regex words, std::vector<std::int32_t> id_of_piece, std::int32_t start,
              std::int32_t end);

    Tokenizer(std::shared_ptr<const WordPieces>, std::size_t positions);

    std::shared_ptr<const WordPieces> word_pieces_;  ///< null: CLIP's
    std::size_t chunk_tokens_ = tokens_per_chunk;
    BytePairs pairs_;
    std::optional<Regex> words_;
    std::vector<std::int32_t> id_of_piece_;
    std::vector<IdPiece> piece_of_id_;  ///< sorted by id
    std::int32_t start_, end_, comma_;
};

}  // namespace pumice
