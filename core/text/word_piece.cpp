#include "text/word_piece.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <utf8proc.h>

#include "text/unicode.hpp"

namespace pumice {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestFile = 64u << 20;  // BERT's are below 1 MiB
constexpr std::size_t kLongestWord = 100;           // in characters; the reference takes a longer one for unknown

bool is_punctuation(char32_t c) {
    // All of ASCII that is no letter, digit, space or control character, "$" and "^" among them.
    if (c < 128) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
        case UTF8PROC_CATEGORY_PC:
        case UTF8PROC_CATEGORY_PD:
        case UTF8PROC_CATEGORY_PS:
        case UTF8PROC_CATEGORY_PE:
        case UTF8PROC_CATEGORY_PI:
        case UTF8PROC_CATEGORY_PF:
        case UTF8PROC_CATEGORY_PO:
            return true;
        default:
            return false;
    }
}

bool is_blank(char32_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' ||
           utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ZS;
}

/// What the reference drops: NUL, the replacement character, and Unicode's "other" but for white space.
bool is_dropped(char32_t c) {
    if (c == 0 || c == 0xFFFD) return true;
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
            return true;
        default:
            return false;
    }
}

/// The blocks of CJK ideographs that the reference names; kana and hangul are not among them.
bool is_chinese(char32_t c) {
    constexpr std::array<std::pair<char32_t, char32_t>, 8> blocks = {{{0x4E00, 0x9FFF},
                                                                      {0x3400, 0x4DBF},
                                                                      {0x20000, 0x2A6DF},
                                                                      {0x2A700, 0x2B73F},
                                                                      {0x2B740, 0x2B81F},
                                                                      {0x2B820, 0x2CEAF},
                                                                      {0xF900, 0xFAFF},
                                                                      {0x2F800, 0x2FA1F}}};
    for (const auto& [first, last] : blocks)
        if (c >= first && c <= last) return true;
    return false;
}

/// Without case and accents: lower case, decomposed, marks that take no room left out.
Result<std::string> folded(const std::string& word) {
    const std::string lower = to_lower(word);
    utf8proc_uint8_t* mapped = nullptr;
    const auto* const bytes = reinterpret_cast<const utf8proc_uint8_t*>(lower.data());
    const utf8proc_ssize_t size = utf8proc_map(bytes, static_cast<utf8proc_ssize_t>(lower.size()), &mapped,
                                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
    if (size < 0) return Error{Code::out_of_host_memory, std::string("decomposing text: ") + utf8proc_errmsg(size)};
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    const std::string_view decomposed(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
    std::string text;
    for (std::size_t at = 0; at < decomposed.size();) {
        const char32_t c = next_code_point(decomposed, at);
        if (utf8proc_category(static_cast<utf8proc_int32_t>(c)) != UTF8PROC_CATEGORY_MN) append_utf8(text, c);
    }
    return text;
}

/// Words, punctuation and Chinese characters, in order.
Result<std::vector<std::string>> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    const auto finish = [&]() -> Status {
        if (word.empty()) return {};
        PUMICE_ASSIGN(const std::string plain, folded(word));
        word.clear();
        // Marks alone leave nothing; what was decomposed may have punctuation that was not there before.
        std::string part;
        const auto add = [&] {
            if (!part.empty()) words.push_back(std::exchange(part, {}));
        };
        for (std::size_t at = 0; at < plain.size();) {
            const char32_t c = next_code_point(plain, at);
            if (!is_punctuation(c)) {
                append_utf8(part, c);
                continue;
            }
            add();
            append_utf8(part, c);
            add();
        }
        add();
        return {};
    };
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_code_point(text, at);
        if (is_blank(c)) {
            PUMICE_TRY(finish());
        } else if (is_chinese(c)) {
            PUMICE_TRY(finish());
            append_utf8(word, c);
            PUMICE_TRY(finish());
        } else if (!is_dropped(c)) {
            append_utf8(word, c);
        }
    }
    PUMICE_TRY(finish());
    return words;
}

/// Where the character at `offset` ends.
std::size_t after_character(std::string_view text, std::size_t offset) {
    (void)next_code_point(text, offset);
    return offset;
}

std::size_t characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); at = after_character(text, at)) ++count;
    return count;
}

}  // namespace

Result<WordPieces> WordPieces::load(const fs::path& vocabulary) {
    const auto bad = [&](const std::string& what) {
        return Error{Code::bad_format, vocabulary.string() + ": " + what};
    };
    std::error_code failed;
    const std::uintmax_t size = fs::file_size(vocabulary, failed);
    if (failed == std::errc::no_such_file_or_directory)
        return Error{Code::not_found, vocabulary.string() + ": there is no such file"};
    if (failed) return Error{Code::io, vocabulary.string() + ": " + failed.message()};
    if (size > kLargestFile) return bad("is larger than 64 MiB");
    std::ifstream file(vocabulary);
    WordPieces made;
    std::string line;
    for (std::int32_t id = 0; std::getline(file, line); ++id) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!check_utf8(line)) return bad(fmt::format("line {} is not UTF-8", id + 1));
        if (!made.ids_.emplace(line, id).second) return bad(fmt::format("line {} repeats '{}'", id + 1, line));
        made.tokens_.push_back(line);
    }
    if (file.bad()) return Error{Code::io, vocabulary.string() + ": cannot be read"};
    for (const auto& [token, id] :
         {std::pair{"[PAD]", &made.pad_}, {"[UNK]", &made.unknown_}, {"[CLS]", &made.start_}, {"[SEP]", &made.end_}}) {
        const auto found = made.ids_.find(token);
        if (found == made.ids_.end()) return bad(fmt::format("has no token {}: it is no vocabulary of BERT's", token));
        *id = found->second;
    }
    const auto comma = made.ids_.find(",");
    made.comma_ = comma == made.ids_.end() ? made.unknown_ : comma->second;
    return made;
}

void WordPieces::append_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (characters(word) > kLongestWord) return ids.push_back(unknown_);
    std::vector<std::int32_t> pieces;
    for (std::size_t begin = 0; begin < word.size();) {
        // The longest piece that the vocabulary has, ends of characters from the left kept to go back over.
        std::vector<std::size_t> ends;
        for (std::size_t at = begin; at < word.size();) ends.push_back(at = after_character(word, at));
        const std::string prefix = begin == 0 ? "" : "##";
        while (!ends.empty()) {
            const auto found = ids_.find(prefix + std::string(word.substr(begin, ends.back() - begin)));
            if (found != ids_.end()) {
                pieces.push_back(found->second);
                break;
            }
            ends.pop_back();
        }
        if (ends.empty()) return ids.push_back(unknown_);
        begin = ends.back();
    }
    ids.insert(ids.end(), pieces.begin(), pieces.end());
}

Result<std::vector<std::int32_t>> WordPieces::encode(std::string_view utf8) const {
    PUMICE_TRY(check_utf8(utf8));
    PUMICE_ASSIGN(const std::vector<std::string> words, words_of(utf8));
    std::vector<std::int32_t> ids;
    for (const std::string& word : words) append_word(word, ids);
    return ids;
}

Result<std::string> WordPieces::decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const std::int32_t id : ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size())
            return Error{Code::invalid_argument, fmt::format("token id {} is not in the vocabulary", id)};
        const std::string& token = tokens_[static_cast<std::size_t>(id)];
        if (token.starts_with("##"))
            text += token.substr(2);
        else
            text += (text.empty() ? "" : " ") + token;
    }
    return text;
}

}  // namespace pumice
