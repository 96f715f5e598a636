#include "text/tokenizer_files.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "text/unicode.hpp"

namespace pumice {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t largest_file = 64u << 20;  // CLIP's are below 1 MiB; a refusal beats an exhausted memory

Error bad_format(const fs::path& file, const std::string& what) {
    return {Code::bad_format, file.string() + ": " + what};
}

Result<std::string> read_text(const fs::path& file) {
    std::error_code failed;
    const std::uintmax_t size = fs::file_size(file, failed);
    if (failed) return Error{Code::io, file.string() + ": " + failed.message()};
    if (size > largest_file) return bad_format(file, "is larger than 64 MiB");
    std::ifstream stream(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream || text.size() != size) return Error{Code::io, file.string() + ": cannot be read"};
    return text;
}

/// Every piece by its spelling: first the bytes as CLIP writes them, those that do not print from U+0100 on.
class Spellings {
public:
    Spellings() {
        char32_t other = 0x100;
        for (int byte = 0; byte < 256; ++byte) {
            const auto piece = BytePairs::byte_piece(static_cast<std::uint8_t>(byte));
            std::string text;
            append_utf8(text, piece < printing ? static_cast<char32_t>(byte) : other++);
            texts_[piece] = text;
            texts_[piece + BytePairs::end_of_word] = text + "</w>";
        }
        for (std::size_t piece = 0; piece < texts_.size(); ++piece)
            pieces_.emplace(texts_[piece], static_cast<BytePairs::Piece>(piece));
    }

    const BytePairs::Piece* find(const std::string& text) const {
        const auto found = pieces_.find(text);
        return found == pieces_.end() ? nullptr : &found->second;
    }

    /// The piece spelled so; a new one if there is none.
    BytePairs::Piece intern(std::string text) {
        const auto [found, added] = pieces_.try_emplace(text, static_cast<BytePairs::Piece>(texts_.size()));
        if (added) texts_.push_back(std::move(text));
        return found->second;
    }

    const std::vector<std::string>& texts() const { return texts_; }

private:
    static constexpr BytePairs::Piece printing = 188;  // bytes that print in Latin-1: 33…126, 161…172, 174…255

    std::vector<std::string> texts_ = std::vector<std::string>(BytePairs::first_merged);
    std::unordered_map<std::string, BytePairs::Piece> pieces_;
};

Status read_merges(const fs::path& file, Spellings& spellings, BytePairs& pairs) {
    PUMICE_ASSIGN(const std::string text, read_text(file));
    PUMICE_TRY(check_utf8(text));
    std::size_t line_number = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t newline = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, newline - at);
        at = newline + 1;
        ++line_number;
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty() || (line_number == 1 && line.starts_with("#version"))) continue;

        const std::string where = "line " + std::to_string(line_number);
        const std::size_t space = line.find(' ');
        if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
            return bad_format(file, where + " is not two parts with a space between them");
        const std::string left = line.substr(0, space), right = line.substr(space + 1);
        const BytePairs::Piece *left_piece = spellings.find(left), *right_piece = spellings.find(right);
        if (!left_piece || !right_piece)
            return bad_format(file, where + ": no earlier line makes '" + (left_piece ? right : left) + "'");
        const BytePairs::Piece parts[] = {*left_piece, *right_piece};  // intern() may move what they point to
        pairs.add_merge(parts[0], parts[1], spellings.intern(left + right));
    }
    return {};
}

Result<std::int32_t> find_id(const nlohmann::json& vocabulary, const fs::path& file, const std::string& token) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end()) return bad_format(file, "lacks the token '" + token + "'");
    if (!found->is_number_integer() || *found < 0 || *found > INT32_MAX)
        return bad_format(file, "the id of '" + token + "' is not a whole number from 0 to 2147483647");
    return found->get<std::int32_t>();
}

Status read_ids(const fs::path& file, const Spellings& spellings, TokenizerFiles& out) {
    PUMICE_ASSIGN(const std::string text, read_text(file));
    const auto vocabulary = nlohmann::json::parse(text, nullptr, false);
    if (!vocabulary.is_object()) return bad_format(file, "is not a JSON object of tokens and ids");

    std::unordered_set<std::int32_t> seen;
    const auto take = [&](const std::string& token, std::int32_t& id) -> Status {
        PUMICE_ASSIGN(id, find_id(vocabulary, file, token));
        if (!seen.insert(id).second) return bad_format(file, "'" + token + "' shares its id with another token");
        return {};
    };
    for (std::size_t piece = 0; piece < spellings.texts().size(); ++piece)
        PUMICE_TRY(take(spellings.texts()[piece], out.id_of_piece[piece]));
    PUMICE_TRY(take("<|startoftext|>", out.start));
    return take("<|endoftext|>", out.end);
}

}  // namespace

Result<TokenizerFiles> TokenizerFiles::read(const fs::path& folder) {
    std::error_code ignored;  // a path that cannot be looked at does not exist for us
    const fs::path place = fs::exists(folder / "tokenizer" / "merges.txt", ignored) ? folder / "tokenizer" : folder;
    const fs::path merges = place / "merges.txt", ids = place / "vocab.json";
    if (!fs::exists(merges, ignored))
        return Error{Code::not_found, merges.string() + ": no such file; a tokenizer's folder holds it"};

    TokenizerFiles files;
    Spellings spellings;
    PUMICE_TRY(read_merges(merges, spellings, files.pairs));
    files.id_of_piece.resize(files.pairs.piece_count());
    std::iota(files.id_of_piece.begin(), files.id_of_piece.end(), 0);
    files.start = static_cast<std::int32_t>(files.id_of_piece.size());
    files.end = files.start + 1;
    if (fs::exists(ids, ignored)) PUMICE_TRY(read_ids(ids, spellings, files));
    return files;
}

}  // namespace pumice
