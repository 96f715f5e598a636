#include "text/tokenizer.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "temporary_folder.hpp"
#include "text/golden_json.hpp"

using namespace pumice;

namespace {

const Tokenizer& embedded() {
    static const Result<Tokenizer> made = Tokenizer::embedded();
    REQUIRE(made);
    return *made;
}

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
    const auto ids = tokenizer.encode(text);
    REQUIRE(ids);
    return *ids;
}

void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// How CLIP writes a byte in its files.
std::string written(int byte) {
    const bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    int others = 0;
    for (int b = 0; b < byte; ++b) others += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
    const int c = prints ? byte : 256 + others;
    if (c < 0x80) return {static_cast<char>(c)};
    return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

/// A vocabulary of the bytes, `tokens` and the two special ones, with ids from 1000 downwards.
nlohmann::json small_vocabulary(const std::vector<std::string>& tokens) {
    nlohmann::json ids;
    int id = 1000;
    for (int byte = 0; byte < 256; ++byte) {
        ids[written(byte)] = id--;
        ids[written(byte) + "</w>"] = id--;
    }
    for (const auto& token : tokens) ids[token] = id--;
    ids["<|startoftext|>"] = 2000;
    ids["<|endoftext|>"] = 7;
    return ids;
}

}  // namespace

TEST_CASE("The stored prompts give the reference's ids", "[text][goldens]") {
    const Tokenizer& tokenizer = embedded();
    for (const auto& stored : read_golden_json("tokenizer/tokens.json")) {
        const std::string text = stored["text"];
        INFO(text);
        const auto ids = ids_of(tokenizer, text);
        CHECK(ids == stored["ids"].get<std::vector<std::int32_t>>());
        CHECK(tokenizer.row(ids, tokenizer.end()) == stored["clip77_pad_eot"].get<TokenRow>());
        CHECK(tokenizer.row(ids, 0) == stored["openclip77_pad_zero"].get<TokenRow>());
    }
}

TEST_CASE("The embedded vocabulary is CLIP's", "[text]") {
    const Tokenizer& tokenizer = embedded();
    CHECK(tokenizer.size() == 49408);
    CHECK(tokenizer.start() == 49406);
    CHECK(tokenizer.end() == 49407);
    CHECK(tokenizer.comma() == 267);
}

TEST_CASE("Odd texts are tokenized as the reference does", "[text]") {
    const Tokenizer& tokenizer = embedded();
    CHECK(ids_of(tokenizer, "").empty());
    CHECK(ids_of(tokenizer, " \t\u3000 ").empty());
    CHECK(ids_of(tokenizer, "&nbsp;&#32;").empty());
    CHECK(ids_of(tokenizer, std::string("\0", 1)) == std::vector<std::int32_t>{444});
    CHECK(ids_of(tokenizer, "<|STARTOFTEXT|>cat") == std::vector<std::int32_t>{49406, 2368});
    CHECK(ids_of(tokenizer, "cat\u0345") == std::vector<std::int32_t>{2368});       // dropped, see tokenizer.cpp
    CHECK(ids_of(tokenizer, "&amp;lt;cat&amp;gt;") == ids_of(tokenizer, "<cat>"));  // twice
    CHECK(ids_of(tokenizer, "CAT'S") == std::vector<std::int32_t>{2368, 568});
}

TEST_CASE("A text that is not UTF-8 is refused", "[text]") {
    const auto ids = embedded().encode("a caf\xE9");
    REQUIRE(!ids);
    CHECK(ids.error().code == Code::invalid_argument);
    CHECK(ids.error().message == "the text is not UTF-8 at byte 5");
}

TEST_CASE("A very long word takes no quadratic time", "[text]") {
    std::string text;
    for (std::uint32_t i = 0; i < 100'000; ++i) text += static_cast<char>('a' + i * i % 97 % 26);
    const auto began = std::chrono::steady_clock::now();
    const auto ids = ids_of(embedded(), text);
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
    CHECK((*embedded().decode(ids) == text + " "));  // in brackets: not printed when it fails
}

TEST_CASE("Ids become text again", "[text]") {
    const Tokenizer& tokenizer = embedded();
    for (const char* text : {"a photo of a cat ", "café 猫 🐱 ", "( x , 1 2 ) "})
        CHECK(*tokenizer.decode(ids_of(tokenizer, text)) == text);
    CHECK(*tokenizer.decode(std::vector<std::int32_t>{49406, 2368, 49407}) == "<|startoftext|>cat <|endoftext|>");
    const auto first_byte_of_cat = ids_of(tokenizer, "猫").front();
    CHECK(*tokenizer.decode(std::vector{first_byte_of_cat}) == "\uFFFD");
    for (const std::int32_t unknown : {-1, 49408, INT32_MAX}) {
        const auto text = tokenizer.decode(std::vector{unknown});
        REQUIRE(!text);
        CHECK(text.error().code == Code::invalid_argument);
    }
}

TEST_CASE("A long prompt's row keeps 75 tokens", "[text]") {
    const std::vector<std::int32_t> ids(200, 5);
    const TokenRow row = embedded().row(ids, 0);
    CHECK(row.front() == 49406);
    CHECK(row[75] == 5);
    CHECK(row[76] == 49407);
}

TEST_CASE("A model's own files are used", "[text]") {
    const test::TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() / "tokenizer");
    write(folder.path() / "tokenizer/merges.txt", "#version: 0.2\nc a\nca t</w>\r\nt s</w>\n\xC3\x83 \xC2\xA9</w>\n");
    const nlohmann::json vocabulary = small_vocabulary({"ca", "cat</w>", "ts</w>", "\xC3\x83\xC2\xA9</w>"});

    SECTION("without ids, they follow from the merges") {
        const auto tokenizer = Tokenizer::load(folder.path());
        REQUIRE(tokenizer);
        CHECK(tokenizer->size() == 518);
        CHECK(ids_of(*tokenizer, "cat cats é") == std::vector<std::int32_t>{513, 512, 514, 515});
        CHECK(ids_of(*tokenizer, "<|startoftext|><|endoftext|>") == std::vector<std::int32_t>{516, 517});
    }
    SECTION("with ids") {
        write(folder.path() / "tokenizer/vocab.json", vocabulary.dump());
        for (const auto& path : {folder.path(), folder.path() / "tokenizer"}) {
            const auto tokenizer = Tokenizer::load(path);
            REQUIRE(tokenizer);
            const std::vector<std::int32_t> expected = {vocabulary["cat</w>"], vocabulary["ca"], vocabulary["ts</w>"],
                                                        vocabulary["\xC3\x83\xC2\xA9</w>"]};
            CHECK(ids_of(*tokenizer, "cat cats é") == expected);
            CHECK(*tokenizer->decode(expected) == "cat cats é ");
            CHECK(tokenizer->start() == 2000);
            CHECK(tokenizer->end() == 7);
            CHECK(tokenizer->comma() == vocabulary[",</w>"]);
        }
    }
}

TEST_CASE("Damaged tokenizer files are refused with file and reason", "[text]") {
    const test::TemporaryFolder folder;
    const auto message_of = [&](Code code) {
        const auto tokenizer = Tokenizer::load(folder.path());
        REQUIRE(!tokenizer);
        CHECK(tokenizer.error().code == code);
        return tokenizer.error().message;
    };
    CHECK(contains(message_of(Code::not_found), "merges.txt"));

    struct Case {
        const char *merges, *reason;
    };
    const Case cases[] = {
        {"a b\nc\n", "line 2 is not two parts"},
        {"a b c\n", "line 1 is not two parts"},
        {"a b\nab cd\n", "line 2: no earlier line makes 'cd'"},
        {" b\n", "no earlier line makes ''"},
        {"a \xFF\n", "not UTF-8"},
    };
    for (const auto& [merges, reason] : cases) {
        write(folder.path() / "merges.txt", merges);
        const auto tokenizer = Tokenizer::load(folder.path());
        REQUIRE(!tokenizer);
        CHECK(contains(tokenizer.error().message, reason));
    }

    write(folder.path() / "merges.txt", "a b\n");
    nlohmann::json vocabulary = small_vocabulary({});
    const auto check_vocabulary = [&](const std::string& text, const std::string& reason) {
        write(folder.path() / "vocab.json", text);
        CHECK(contains(message_of(Code::bad_format), reason));
    };
    check_vocabulary(vocabulary.dump(), "lacks the token 'ab'");
    check_vocabulary("{\"a\": 1", "not a JSON object");
    check_vocabulary("[]", "not a JSON object");
    for (const nlohmann::json& id :
         {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json("1"), nlohmann::json(4294967296)}) {
        vocabulary["ab"] = id;
        check_vocabulary(vocabulary.dump(), "not a whole number");
    }
    vocabulary["ab"] = 7;
    check_vocabulary(vocabulary.dump(), "shares its id");
}
