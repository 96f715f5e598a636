#include "text/tokenizer_writer.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/new_file.hpp"
#include "text/bpe.hpp"
#include "text/tables.hpp"
#include "text/unicode.hpp"

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

Status put(const std::filesystem::path& path, const std::string& text) {
    PUMICE_ASSIGN(NewFile file, NewFile::create(path, Existing::refuse));
    PUMICE_TRY(file.write(std::as_bytes(std::span(text.data(), text.size()))));
    return file.finish();
}

/// Every piece as CLIP writes it: bytes that do not print stand as characters from U+0100 on.
std::vector<std::string> spellings() {
    constexpr BytePairs::Piece kPrinting = 188;  // bytes that print in Latin-1 come first
    std::vector<std::string> texts(BytePairs::first_merged);
    char32_t other = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
        const auto piece = BytePairs::byte_piece(static_cast<std::uint8_t>(byte));
        std::string text;
        append_utf8(text, piece < kPrinting ? static_cast<char32_t>(byte) : other++);
        texts[piece] = text;
        texts[piece + BytePairs::end_of_word] = text + "</w>";
    }
    for (const auto& merge : text_tables::clip_merges()) texts.push_back(texts[merge.left] + texts[merge.right]);
    return texts;
}

}  // namespace

Status write_tokenizer_files(const std::filesystem::path& folder, Padding padding) {
    const std::vector<std::string> texts = spellings();
    Json vocabulary = Json::object();
    for (std::size_t i = 0; i < texts.size(); ++i) vocabulary[texts[i]] = i;
    vocabulary["<|startoftext|>"] = texts.size();
    vocabulary["<|endoftext|>"] = texts.size() + 1;
    std::string merges = "#version: 0.2\n";
    for (const auto& merge : text_tables::clip_merges()) merges += texts[merge.left] + " " + texts[merge.right] + "\n";
    const Json special = {{"bos_token", "<|startoftext|>"},
                          {"eos_token", "<|endoftext|>"},
                          {"pad_token", padding == Padding::zero ? "!" : "<|endoftext|>"},
                          {"unk_token", "<|endoftext|>"}};
    Json config = special;
    config.update({{"add_prefix_space", false},
                   {"do_lower_case", true},
                   {"errors", "replace"},
                   {"model_max_length", 77},
                   {"tokenizer_class", "CLIPTokenizer"}});
    PUMICE_TRY(put(folder / "vocab.json", vocabulary.dump()));
    PUMICE_TRY(put(folder / "merges.txt", merges));
    PUMICE_TRY(put(folder / "tokenizer_config.json", config.dump(2) + "\n"));
    return put(folder / "special_tokens_map.json", special.dump(2) + "\n");
}

}  // namespace pumice
