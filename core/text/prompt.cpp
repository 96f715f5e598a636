#include "text/prompt.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "text/regex.hpp"
#include "text/unicode.hpp"

namespace pumice {
namespace {

constexpr double round_bracket_weight = 1.1;
constexpr double square_bracket_weight = 1 / 1.1;
constexpr std::string_view special = "\\()[]:";

/// Collects the parts and multiplies their weights as brackets close.
class AttentionParser {
public:
    explicit AttentionParser(const Regex& breaks) : breaks_(breaks) {}

    Status parse(std::string_view prompt) {
        for (std::size_t at = 0; at < prompt.size();) {
            PUMICE_ASSIGN(const std::size_t taken, take(prompt.substr(at)));
            at += taken;
        }
        for (const std::size_t start : round_) multiply(start, round_bracket_weight);
        for (const std::size_t start : square_) multiply(start, square_bracket_weight);
        return {};
    }

    std::vector<AttentionPart> merged() && {
        if (parts_.empty()) parts_.emplace_back();
        std::vector<AttentionPart> out;
        for (AttentionPart& part : parts_) {
            if (!out.empty() && out.back().weight == part.weight) {
                out.back().text += part.text;
            } else {
                out.push_back(std::move(part));
            }
        }
        return out;
    }

private:
    /// Handles what `rest` begins with; returns how many bytes that was.
    Result<std::size_t> take(std::string_view rest) {
        switch (rest[0]) {
            case '\\': {
                const bool escapes = rest.size() > 1 && special.substr(0, 5).find(rest[1]) != std::string_view::npos;
                parts_.push_back({std::string(rest.substr(1, escapes ? 1 : 0)), 1});
                return escapes ? 2 : 1;
            }
            case '(':
                round_.push_back(parts_.size());
                return 1;
            case '[':
                square_.push_back(parts_.size());
                return 1;
            case ')':
                return close(round_, round_bracket_weight, rest);
            case ']':
                return close(square_, square_bracket_weight, rest);
            case ':':
                return take_colon(rest);
            default:
                const std::size_t size = std::min(rest.find_first_of(special), rest.size());
                PUMICE_TRY(add_text(rest.substr(0, size)));
                return size;
        }
    }

    Result<std::size_t> close(std::vector<std::size_t>& open, double weight, std::string_view rest) {
        if (open.empty()) {
            PUMICE_TRY(add_text(rest.substr(0, 1)));
        } else {
            multiply(open.back(), weight);
            open.pop_back();
        }
        return 1;
    }

    /// `:1.3)` closes a round bracket with a weight; any other colon is text.
    Result<std::size_t> take_colon(std::string_view rest) {
        const std::string_view after_space = strip_left(rest.substr(1));
        const bool has_sign = after_space.starts_with('+') || after_space.starts_with('-');
        const std::size_t sign = has_sign ? 1 : 0;
        const std::size_t end = std::min(after_space.find_first_not_of("0123456789.", sign), after_space.size());
        const std::string_view tail = strip_left(after_space.substr(end));
        if (end == sign || !tail.starts_with(')')) {
            PUMICE_TRY(add_text(rest.substr(0, 1)));
            return 1;
        }
        const std::size_t size = rest.size() - tail.size() + 1;
        if (round_.empty()) {
            PUMICE_TRY(add_text(rest.substr(0, size)));
            return size;
        }
        PUMICE_ASSIGN(const double weight, parse_weight(after_space.substr(0, end)));
        multiply(round_.back(), weight);
        round_.pop_back();
        return size;
    }

    static Result<double> parse_weight(std::string_view text) {
        const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
        double weight = 0;
        const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
        if (failed != std::errc() || end != digits.data() + digits.size())
            return Error{Code::invalid_argument,
                         "the weight '" + std::string(text.substr(0, 40)) + "' in the prompt is not a number"};
        return weight;
    }

    void multiply(std::size_t start, double weight) {
        for (AttentionPart& part : std::span(parts_).subspan(start)) part.weight *= weight;
    }

    /// Text, split at BREAK with the white space around it.
    Status add_text(std::string_view text) {
        PUMICE_ASSIGN(const std::vector<Regex::Match> breaks, breaks_.find_all(text));
        std::string_view rest = text;
        for (const auto [begin, end] : breaks) {
            const std::size_t start = text.size() - rest.size();
            parts_.push_back({std::string(strip_right(text.substr(start, begin - start))), 1});
            parts_.push_back({"BREAK", -1});
            rest = strip_left(text.substr(end));
        }
        parts_.push_back({std::string(rest), 1});
        return {};
    }

    const Regex& breaks_;
    std::vector<AttentionPart> parts_;
    std::vector<std::size_t> round_, square_;  ///< where the open brackets' content begins in parts_
};

/// The reference's loop over tokens, one chunk open at a time.
class Chunker {
public:
    explicit Chunker(const Tokenizer& tokenizer) : tokenizer_(tokenizer), room_(tokenizer.chunk_tokens() - 2) {}

    /// For what begins with this token.
    void make_room(std::int32_t token) {
        constexpr std::size_t comma_backtrack = 20;  // the reference's default
        if (token == tokenizer_.comma()) {
            last_comma_ = used_.size();
        } else if (used_.size() == room_ && last_comma_ &&
                   used_.size() - *last_comma_ <= comma_backtrack) {
            const std::vector<Used> moved(used_.begin() + static_cast<std::ptrdiff_t>(*last_comma_) + 1, used_.end());
            used_.resize(*last_comma_ + 1);
            close(room_);
            used_ = moved;
        }
        if (used_.size() == room_) close(room_);
    }

    void add(std::int32_t token, float weight) {
        make_room(token);
        used_.push_back({token, weight, {}});
    }

    void add(std::uint32_t index, const PromptEmbedding& embedding, float weight) {
        make_room(embedding.ids.front());
        if (used_.size() + embedding.vectors > room_) close(used_.size());
        for (std::uint32_t i = 0; i < embedding.vectors; ++i)
            used_.push_back({0, weight, i == 0 ? std::optional(index) : std::nullopt});
    }

    void add_break() { close(room_); }

    std::vector<PromptChunk> finish() && {
        if (!used_.empty() || chunks_.empty()) close(used_.size());
        return std::move(chunks_);
    }

private:
    struct Used {
        std::int32_t token;
        float weight;
        std::optional<std::uint32_t> embedding;  ///< that begins here
    };

    void close(std::size_t length) {
        PromptChunk chunk = empty_chunk(tokenizer_);
        chunk.length = static_cast<std::uint32_t>(length);
        for (std::size_t i = 0; i < used_.size(); ++i) {
            chunk.tokens[i + 1] = used_[i].token;
            chunk.weights[i + 1] = used_[i].weight;
            if (used_[i].embedding) chunk.embeddings.push_back({static_cast<std::uint32_t>(i + 1), *used_[i].embedding});
        }
        chunk.tokens[used_.size() + 1] = tokenizer_.end();
        chunks_.push_back(chunk);
        used_.clear();
        last_comma_.reset();
    }

    const Tokenizer& tokenizer_;
    std::size_t room_;  ///< tokens of the prompt in a chunk
    std::vector<PromptChunk> chunks_;
    std::vector<Used> used_;                 ///< of the open chunk, at most room_
    std::optional<std::size_t> last_comma_;  ///< in used_
};

/// The embedding with the longest name that the tokens begin with.
std::optional<std::uint32_t> embedding_at(std::span<const PromptEmbedding> embeddings,
                                          std::span<const std::int32_t> tokens) {
    std::optional<std::uint32_t> best;
    for (std::uint32_t i = 0; i < embeddings.size(); ++i) {
        const auto& ids = embeddings[i].ids;
        if (ids.empty() || ids.size() > tokens.size() || !std::equal(ids.begin(), ids.end(), tokens.begin())) continue;
        if (!best || ids.size() > embeddings[*best].ids.size()) best = i;
    }
    return best;
}

}  // namespace

Result<std::vector<AttentionPart>> parse_attention(std::string_view prompt) {
    if (prompt.size() > largest_prompt_bytes)
        return Error{Code::invalid_argument, "the prompt has " + std::to_string(prompt.size()) + " bytes; at most " +
                                                 std::to_string(largest_prompt_bytes) + " are allowed"};
    PUMICE_TRY(check_utf8(prompt));
    PUMICE_ASSIGN(const Regex breaks, Regex::compile(R"((?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_]))"));
    AttentionParser parser(breaks);
    PUMICE_TRY(parser.parse(prompt));
    return std::move(parser).merged();
}

Result<std::vector<PromptChunk>> chunk_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                              std::span<const PromptEmbedding> embeddings) {
    PUMICE_ASSIGN(const std::vector<AttentionPart> parts, parse_attention(prompt));
    Chunker chunker(tokenizer);
    for (const AttentionPart& part : parts) {
        if (part.is_break()) {
            chunker.add_break();
            continue;
        }
        const auto weight = static_cast<float>(part.weight);
        if (!std::isfinite(weight)) return Error{Code::invalid_argument, "a weight in the prompt is too large"};
        PUMICE_ASSIGN(const std::vector<std::int32_t> tokens, tokenizer.encode(part.text));
        for (std::size_t at = 0; at < tokens.size();) {
            const auto found = embedding_at(embeddings, std::span(tokens).subspan(at));
            if (found) chunker.add(*found, embeddings[*found], weight);
            else chunker.add(tokens[at], weight);
            at += found ? embeddings[*found].ids.size() : 1;
        }
    }
    return std::move(chunker).finish();
}

PromptChunk empty_chunk(const Tokenizer& tokenizer) {
    PromptChunk chunk;
    chunk.tokens = tokenizer.row({}, tokenizer.pad());
    chunk.weights.assign(chunk.tokens.size(), 1.0f);
    return chunk;
}

void match_chunk_counts(const Tokenizer& tokenizer, std::vector<PromptChunk>& cond, std::vector<PromptChunk>& uncond) {
    const std::size_t count = std::max(cond.size(), uncond.size());
    cond.resize(count, empty_chunk(tokenizer));
    uncond.resize(count, empty_chunk(tokenizer));
}

}  // namespace pumice
