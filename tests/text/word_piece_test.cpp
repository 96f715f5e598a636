#include "text/word_piece.hpp"

#include <fstream>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::TemporaryFolder;

namespace {

const std::vector<std::string> kTokens = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff",  "##able", "want", "##want", "##ed", "runn", "##ing", ",",
    "小",    "桥",    "流",    "水",    "。", "resume", "van",    "gogh", "$",      "##水", "か",   "##か"};

std::filesystem::path vocabulary(const TemporaryFolder& folder, const std::vector<std::string>& tokens = kTokens,
                                 const char* newline = "\n") {
    std::string text;
    for (const std::string& token : tokens) text += token + newline;
    test::write_file(folder / "vocab.txt", text);
    return folder / "vocab.txt";
}

/// The tokens of a text, joined by spaces.
std::string pieces(const WordPieces& pieces, std::string_view text) {
    const auto ids = pieces.encode(text);
    if (!ids) FAIL(ids.error().message);
    std::string joined;
    for (const std::int32_t id : *ids) joined += (joined.empty() ? "" : " ") + kTokens.at(static_cast<std::size_t>(id));
    return joined;
}

}  // namespace

TEST_CASE("words are cut into the longest pieces from the left", "[text]") {
    const TemporaryFolder folder;
    for (const char* newline : {"\n", "\r\n"}) {
        const auto made = WordPieces::load(vocabulary(folder, kTokens, newline));
        REQUIRE(made);
        CHECK(made->size() == kTokens.size());
        CHECK(made->pad() == 0);
        CHECK(made->unknown() == 1);
        CHECK(made->start() == 2);
        CHECK(made->end() == 3);
        // The examples of the reference's own tests (tokenization_test.py).
        CHECK(pieces(*made, "") == "");
        CHECK(pieces(*made, "unwanted running") == "un ##want ##ed runn ##ing");
        CHECK(pieces(*made, "unwantedX running") == "[UNK] runn ##ing");
        CHECK(pieces(*made, " \tUNwant\u00E9d,running  \r\n") == "un ##want ##ed , runn ##ing");
    }
}

TEST_CASE("Chinese stands character by character, without spaces and case", "[text]") {
    const TemporaryFolder folder;
    const auto made = WordPieces::load(vocabulary(folder));
    REQUIRE(made);
    CHECK(pieces(*made, "小桥流水，Van Gogh。") == "小 桥 流 水 [UNK] van gogh 。");
    CHECK(pieces(*made, "小\u3000桥\u0001\uFEFF\u200B流") == "小 桥 流");            // wide and invisible spaces
    CHECK(pieces(*made, "Re\u0301sume\u0301 R\u00C9SUM\u00C9") == "resume resume");  // accents of both kinds
    CHECK(pieces(*made, "want$want,") == "want $ want ,");
    CHECK(pieces(*made, "かか") == "か ##か");  // kana make words
    CHECK(pieces(*made, std::string(101, 'a')) == "[UNK]");
    const auto broken = made->encode("a\xff");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().code == Code::invalid_argument);
}

TEST_CASE("a vocabulary that is none of BERT's is told so", "[text]") {
    const TemporaryFolder folder;
    const auto message = [&](const std::vector<std::string>& tokens) {
        const auto made = WordPieces::load(vocabulary(folder, tokens));
        REQUIRE_FALSE(made);
        CHECK(made.error().code == Code::bad_format);
        return made.error().message;
    };
    const std::string file = (folder / "vocab.txt").string();
    CHECK(message({"a", "b"}) == file + ": has no token [PAD]: it is no vocabulary of BERT's");
    CHECK(message({"[PAD]", "[UNK]", "[CLS]"}) == file + ": has no token [SEP]: it is no vocabulary of BERT's");
    CHECK(message({"[PAD]", "a", "a"}) == file + ": line 3 repeats 'a'");
    CHECK(message({"\xc0\x80"}) == file + ": line 1 is not UTF-8");
    const auto absent = WordPieces::load(folder / "none.txt");
    REQUIRE_FALSE(absent);
    CHECK(absent.error().code == Code::not_found);
}
