#include "text/prompt.hpp"

#include <algorithm>
#include <cmath>

#include "text/golden_json.hpp"

using namespace pumice;

namespace {

const Tokenizer& tokenizer() {
    static const Tokenizer made = *Tokenizer::embedded();
    return made;
}

std::vector<AttentionPart> parts_of(std::string_view prompt) {
    auto parts = parse_attention(prompt);
    REQUIRE(parts);
    return *std::move(parts);
}

std::vector<PromptChunk> chunks_of(std::string_view prompt) {
    auto chunks = chunk_prompt(tokenizer(), prompt);
    REQUIRE(chunks);
    return *std::move(chunks);
}

std::string repeat(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

std::uint32_t total_length(const std::vector<PromptChunk>& chunks) {
    std::uint32_t length = 0;
    for (const auto& chunk : chunks) length += chunk.length;
    return length;
}

}  // namespace

TEST_CASE("The stored prompts have the reference's attention", "[text][goldens]") {
    for (const auto& stored : read_golden_json("prompt/attention.json")) {
        const std::string text = stored["text"];
        INFO(text);
        if (stored.contains("error")) {
            CHECK(!parse_attention(text));
            continue;
        }
        const auto parts = parts_of(text);
        REQUIRE(parts.size() == stored["out"].size());
        for (std::size_t i = 0; i < parts.size(); ++i) {
            CHECK(parts[i].text == stored["out"][i][0].get<std::string>());
            CHECK(std::abs(parts[i].weight - stored["out"][i][1].get<double>()) <= 1e-6);
        }
    }
}

TEST_CASE("The stored prompts have the reference's chunks", "[text][goldens]") {
    for (const auto& stored : read_golden_json("prompt/chunks.json")) {
        const std::string text = stored["text"];
        INFO(text);
        const auto chunks = chunks_of(text);
        REQUIRE(chunks.size() == stored["chunks"].size());
        CHECK(total_length(chunks) == stored["token_count"].get<std::uint32_t>());
        for (std::size_t i = 0; i < chunks.size(); ++i) {
            CHECK(chunks[i].tokens == stored["chunks"][i]["tokens"].get<TokenRow>());
            const auto weights = stored["chunks"][i]["multipliers"].get<std::vector<double>>();
            REQUIRE(weights.size() == chunks[i].weights.size());
            for (std::size_t k = 0; k < weights.size(); ++k) CHECK(std::abs(chunks[i].weights[k] - weights[k]) <= 1e-6);
        }
    }
}

TEST_CASE("Brackets that do not pair have their meaning too", "[text]") {
    CHECK(parts_of("(a [b)")[1].weight == Approx(1.1 / 1.1));  // both reach over b
    CHECK(parts_of("a:1.2)")[0].text == "a:1.2)");
    CHECK(parts_of(")(a")[1].weight == Approx(1.1));
    CHECK(parts_of("\\")[0].text.empty());
    CHECK(parts_of("(a:+1.5)")[0].weight == 1.5);
    CHECK(parts_of("(a:\u30001.5\u00A0)")[0].weight == 1.5);
    CHECK(parts_of("(a:1e1)")[0].text == "a:1e1");
    CHECK(parts_of(repeat("(", 30'000)).size() == 1);
    CHECK(parts_of(repeat("(a", 3'000) + repeat(")", 3'000)).size() == 3'000);
}

TEST_CASE("BREAK is a word of its own outside of brackets", "[text]") {
    const auto parts = parts_of("BREAK BREAK\nx BREAK_ éBREAK [y BREAK z]");
    REQUIRE(parts.size() == 8);
    CHECK((parts[0].text.empty() && parts[1].is_break() && parts[2].text.empty() && parts[3].is_break()));
    CHECK(parts[4].text == "x BREAK_ éBREAK ");
    CHECK((parts[5].text == "y" && parts[7].text == "z"));
    CHECK((parts[6].text == "BREAK" && !parts[6].is_break()));
}

TEST_CASE("Prompts that cannot be read are refused", "[text]") {
    struct Case {
        std::string prompt, reason;
    };
    const Case cases[] = {
        {"(a:1.2.3)", "'1.2.3'"},
        {"(a:.)", "'.'"},
        {"(a:-.)", "'-.'"},
        {"(a:" + repeat("9", 400) + ")", "not a number"},
        {"(a:" + repeat("9", 300) + ")", "too large"},
        {"a\xFF", "not UTF-8 at byte 1"},
        {std::string(largest_prompt_bytes + 1, 'a'), "65537 bytes"},
    };
    for (const auto& [prompt, reason] : cases) {
        const auto chunks = chunk_prompt(tokenizer(), prompt);
        REQUIRE(!chunks);
        CHECK(chunks.error().code == Code::invalid_argument);
        INFO(chunks.error().message);
        CHECK(chunks.error().message.find(reason) != std::string::npos);
    }
}

TEST_CASE("Chunks are cut at the last comma when it is near", "[text]") {
    // 20 tokens after the comma's place move (19 words), 21 do not.
    const auto near = chunks_of(repeat("cat ", 55) + "," + repeat(" dog", 30));
    REQUIRE(near.size() == 2);
    CHECK(near[0].tokens[56] == tokenizer().comma());
    CHECK(near[0].tokens[57] == tokenizer().end());
    CHECK(total_length(near) == 75 + 30);

    const auto far = chunks_of(repeat("cat ", 54) + "," + repeat(" dog", 30));
    REQUIRE(far.size() == 2);
    CHECK(far[0].tokens[75] != tokenizer().end());
    CHECK(total_length(far) == 85);
}

TEST_CASE("Any prompt gives whole chunks", "[text]") {
    const std::string prompts[] = {"",
                                   "   ",
                                   "BREAK",
                                   "()",
                                   "((((",
                                   "😀" + repeat("👨‍👩‍👧", 40),
                                   repeat("a, ", 400),
                                   repeat("(cat:1.3), ", 2'000),
                                   std::string(largest_prompt_bytes, 'x')};
    for (const auto& prompt : prompts) {
        const auto chunks = chunks_of(prompt);
        REQUIRE(!chunks.empty());
        for (const auto& chunk : chunks) {
            CHECK(chunk.tokens.front() == 49406);
            CHECK(chunk.tokens.back() == 49407);
            CHECK((chunk.weights.front() == 1 && chunk.weights.back() == 1));
        }
    }
    const auto empty = chunks_of("");
    REQUIRE(empty.size() == 1);
    CHECK(empty[0].length == 0);
    CHECK(std::count(empty[0].tokens.begin(), empty[0].tokens.end(), 49407) == 76);
}

TEST_CASE("The shorter of two prompts is filled up with empty chunks", "[text]") {
    auto cond = chunks_of("a BREAK b BREAK c"), uncond = chunks_of("d");
    const auto first = uncond[0].tokens;
    match_chunk_counts(tokenizer(), uncond, cond);
    REQUIRE(uncond.size() == 3);
    CHECK(cond.size() == 3);
    CHECK(uncond[0].tokens == first);
    CHECK(uncond[2].tokens == empty_chunk(tokenizer()).tokens);
    CHECK(uncond[2].weights == empty_chunk(tokenizer()).weights);
}

TEST_CASE("the name of an embedding stands for its places") {
    const auto ids = [](const char* name) { return *tokenizer().encode(name); };
    const std::vector<PromptEmbedding> embeddings{{ids("sea"), 2}, {ids("sea foam"), 3}};
    const auto places = [&](const std::string& prompt) {
        const auto chunks = chunk_prompt(tokenizer(), prompt, embeddings);
        REQUIRE(chunks);
        std::vector<std::array<std::uint32_t, 3>> all;
        for (std::uint32_t c = 0; c < chunks->size(); ++c)
            for (const EmbeddingPlace& p : (*chunks)[c].embeddings) {
                all.push_back({c, p.token, p.embedding});
                CHECK((*chunks)[c].tokens[p.token] == 0);
            }
        return all;
    };
    using Places = std::vector<std::array<std::uint32_t, 3>>;
    CHECK(places("a sea") == Places{{0, 2, 0}});
    CHECK(places("Sea foam, sea") == Places{{0, 1, 1}, {0, 5, 0}});
    CHECK(places("a seaside").empty());
    // No room for two places behind 74 words: it begins the next chunk.
    CHECK(places(repeat("word ", 74) + "sea") == Places{{1, 1, 0}});
    CHECK(places(repeat("word ", 73) + "sea") == Places{{0, 74, 0}});
    // What follows a comma is handed over with what begins in it.
    CHECK(places(repeat("word ", 70) + ", sea word word word") == Places{{1, 1, 0}});
    const auto weighted = chunk_prompt(tokenizer(), "(sea:1.3)", embeddings);
    REQUIRE(weighted);
    CHECK(weighted->front().weights[1] == 1.3f);
    CHECK(weighted->front().weights[2] == 1.3f);
    CHECK(weighted->front().weights[3] == 1);
}
