#include "text/tokenizer.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "text/html.hpp"
#include "text/tables.hpp"
#include "text/tokenizer_files.hpp"
#include "text/unicode.hpp"

namespace pumice {
namespace {

constexpr std::string_view start_text = "<|startoftext|>";
constexpr std::string_view end_text = "<|endoftext|>";

/// The reference's pattern. White space is a plain space here, because all of it has become one before; \s would not
/// do, as PCRE2 counts U+180E and Python does not. U+0345 is left out of everything: it is no letter but its capital is
/// one, so that the reference, which matches caselessly, finds it in none of the classes and drops it.
constexpr std::string_view word_pattern =
    R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^ \p{L}\p{N}\x{345}]+)";

/// What `\s` is to the reference, which uses Python's module regex there: White_Space, thus not U+001C…U+001F.
bool is_white_space(char32_t c) {
    return is_space(c) && !(c >= 0x1C && c <= 0x1F);
}

std::string single_spaces(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool pending = false;
    for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t here = offset;
        if (is_white_space(next_code_point(text, offset))) {
            pending = true;
            continue;
        }
        if (std::exchange(pending, false)) out += ' ';
        out += text.substr(here, offset - here);
    }
    if (pending) out += ' ';
    return out;
}

std::string clean(std::string_view text) {
    const std::string unescaped = unescape_html(unescape_html(text));
    return to_lower(strip(single_spaces(strip(unescaped))));
}

}  // namespace

Tokenizer::Tokenizer(BytePairs pairs, Regex words, std::vector<std::int32_t> id_of_piece, std::int32_t start,
                     std::int32_t end)
    : pairs_(std::move(pairs)),
      words_(std::move(words)),
      id_of_piece_(std::move(id_of_piece)),
      start_(start),
      end_(end),
      comma_(id_of_piece_[BytePairs::byte_piece(',') + BytePairs::end_of_word]) {
    piece_of_id_.reserve(id_of_piece_.size());
    for (std::size_t piece = 0; piece < id_of_piece_.size(); ++piece)
        piece_of_id_.push_back({id_of_piece_[piece], static_cast<BytePairs::Piece>(piece)});
    std::sort(piece_of_id_.begin(), piece_of_id_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

Result<Tokenizer> Tokenizer::embedded() {
    BytePairs pairs;
    const auto merges = text_tables::clip_merges();
    pairs.reserve(merges.size());
    for (const auto& merge : merges) pairs.add_merge(merge.left, merge.right, pairs.piece_count());

    std::vector<std::int32_t> ids(pairs.piece_count());
    std::iota(ids.begin(), ids.end(), 0);
    const auto count = static_cast<std::int32_t>(ids.size());
    PUMICE_ASSIGN(Regex words, Regex::compile(word_pattern, true));
    return Tokenizer(std::move(pairs), std::move(words), std::move(ids), count, count + 1);
}

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& folder) {
    PUMICE_ASSIGN(TokenizerFiles files, TokenizerFiles::read(folder));
    PUMICE_ASSIGN(Regex words, Regex::compile(word_pattern, true));
    return Tokenizer(std::move(files.pairs), std::move(words), std::move(files.id_of_piece), files.start, files.end);
}

Tokenizer::Tokenizer(std::shared_ptr<const WordPieces> pieces, std::size_t positions)
    : word_pieces_(std::move(pieces)),
      chunk_tokens_(positions),
      start_(word_pieces_->start()),
      end_(word_pieces_->end()),
      comma_(word_pieces_->comma()) {}

Tokenizer Tokenizer::of_word_pieces(WordPieces pieces, std::size_t positions) {
    return Tokenizer(std::make_shared<const WordPieces>(std::move(pieces)), positions);
}

Result<std::vector<std::int32_t>> Tokenizer::encode(std::string_view utf8) const {
    if (word_pieces_) return word_pieces_->encode(utf8);
    PUMICE_TRY(check_utf8(utf8));
    const std::string text = clean(utf8);
    PUMICE_ASSIGN(const std::vector<Regex::Match> words, words_->find_all(text));

    std::vector<std::int32_t> ids;
    std::vector<BytePairs::Piece> pieces;
    for (const auto [begin, end] : words) {
        const std::string_view word = std::string_view(text).substr(begin, end - begin);
        if (word == start_text || word == end_text) {
            ids.push_back(word == start_text ? start_ : end_);
            continue;
        }
        pieces.clear();
        pairs_.encode(word, pieces);
        for (const BytePairs::Piece piece : pieces) ids.push_back(id_of_piece_[piece]);
    }
    return ids;
}

Result<std::string> Tokenizer::decode(std::span<const std::int32_t> ids) const {
    if (word_pieces_) return word_pieces_->decode(ids);
    std::string bytes;
    for (const std::int32_t id : ids) {
        if (id == start_ || id == end_) {
            bytes += id == start_ ? start_text : end_text;
            continue;
        }
        const auto found = std::lower_bound(piece_of_id_.begin(), piece_of_id_.end(), id,
                                            [](const auto& entry, std::int32_t value) { return entry.id < value; });
        if (found == piece_of_id_.end() || found->id != id)
            return Error{Code::invalid_argument, "token id " + std::to_string(id) + " is not in the vocabulary"};
        if (pairs_.spell(found->piece, bytes)) bytes += ' ';
    }
    return replace_invalid_utf8(bytes);
}

TokenRow Tokenizer::row(std::span<const std::int32_t> ids, std::int32_t pad) const {
    TokenRow tokens(chunk_tokens_, pad);
    const std::size_t count = std::min(ids.size(), chunk_tokens_ - 2);
    tokens[0] = start_;
    std::copy_n(ids.begin(), count, tokens.begin() + 1);
    tokens[count + 1] = end_;
    return tokens;
}

}  // namespace pumice
