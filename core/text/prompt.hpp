// The prompt syntax of AUTOMATIC1111's web UI (modules/prompt_parser.py, sd_hijack_clip.py there): attention weights
// and BREAK, cut into the chunks that the text encoder takes. Schedules and AND come before this: prompt_schedule.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "text/tokenizer.hpp"

namespace pumice {

/// A prompt longer than this is refused: some of what the syntax asks for takes the square of its length.
inline constexpr std::size_t largest_prompt_bytes = 64 * 1024;

/// A stretch of the prompt that has one weight. BREAK is a part of its own: text "BREAK", weight -1.
struct AttentionPart {
    std::string text;
    double weight = 1;

    bool is_break() const { return weight == -1 && text == "BREAK"; }
};

/// `(a)` weighs 1.1 times as much, `[a]` 1/1.1 times, `(a:1.3)` 1.3 times; these nest and multiply; a bracket that is
/// never closed reaches to the end, one that was never opened is text; `\(`, `\)`, `\[`, `\]` and `\\` are text; BREAK
/// as a word of its own begins a new chunk (outside of brackets: within them it is text, as in the reference).
/// Neighbours of equal weight are one part; there is always at least one part. Code::invalid_argument for text that is
/// not UTF-8 or too long and for a weight that is no number, such as `(a:1.2.3)`.
Result<std::vector<AttentionPart>> parse_attention(std::string_view prompt);

/// A word that stands for vectors of its own (textual inversion).
struct PromptEmbedding {
    std::vector<std::int32_t> ids;  ///< the tokens of its name, at least one
    std::uint32_t vectors = 1;      ///< places that it takes, 1…75
};

/// Where an embedding stands in a chunk.
struct EmbeddingPlace {
    std::uint32_t token = 0;      ///< the first of its places in PromptChunk::tokens
    std::uint32_t embedding = 0;  ///< which of those given
};

/// What the text encoder takes at once.
struct PromptChunk {
    TokenRow tokens;             ///< start, 75 tokens padded with end, end; of BERT as many as it takes
    std::vector<float> weights;  ///< of each token; 1 where there is none of the prompt
    std::uint32_t length = 0;    ///< tokens that the prompt has used up: 75, but for the last chunk if it is not full
    std::vector<EmbeddingPlace> embeddings = {};  ///< in order; at their places the token is 0
};

/// Cuts a prompt into one chunk or more. A chunk that is full hands what follows its last comma over to the next one,
/// if that is at most 20 tokens. Where the tokens of an embedding's name stand, its places do, of several that fit the one
/// of the longest name; one that a chunk has no room for begins the next. Errors of parse_attention and Tokenizer::encode.
Result<std::vector<PromptChunk>> chunk_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                              std::span<const PromptEmbedding> embeddings = {});

/// The chunk of an empty prompt.
PromptChunk empty_chunk(const Tokenizer& tokenizer);

/// Appends empty chunks to the shorter of the two, so that cond and uncond have the same length and fit one batch. This
/// changes the picture a little: the reference does so as an option only ("pad prompt/negative prompt").
void match_chunk_counts(const Tokenizer& tokenizer, std::vector<PromptChunk>& cond, std::vector<PromptChunk>& uncond);

}  // namespace pumice
