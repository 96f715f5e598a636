#include "text/wildcards.hpp"

#include <map>
#include <set>

#include "catch.hpp"

using namespace pumice;

namespace {

Result<std::vector<std::string>> lines(const std::string& name) {
    const std::map<std::string, std::vector<std::string>> files = {{"colour", {"red", "green", "blue"}},
                                                                   {"sky/time", {"__colour__ dusk"}},
                                                                   {"empty", {}},
                                                                   {"loop", {"__loop__"}},
                                                                   {"snow", {"__snow__ __snow__"}}};
    const auto it = files.find(name);
    if (it == files.end()) return Error{Code::not_found, "no " + name};
    return it->second;
}

std::string expanded(const std::string& prompt, std::uint64_t seed = 0) {
    const auto result = expand_wildcards(prompt, seed, lines);
    return result ? *result : "error: " + result.error().message;
}

std::set<std::string> all(const std::string& prompt) {
    std::set<std::string> results;
    for (std::uint64_t seed = 0; seed < 200; ++seed) results.insert(expanded(prompt, seed));
    return results;
}

}  // namespace

TEST_CASE("a wildcard is one of its lines, a choice one of its options") {
    CHECK(all("a __colour__ hat") == std::set<std::string>{"a red hat", "a green hat", "a blue hat"});
    CHECK(all("{a|b {c|d}}") == std::set<std::string>{"a", "b c", "b d"});
    CHECK(all("at __sky/time__") == std::set<std::string>{"at red dusk", "at green dusk", "at blue dusk"});
    CHECK(all("{0::a|1::b}") == std::set<std::string>{"b"});
    CHECK(all("{2$$a|b|c}") == std::set<std::string>{"a, b", "a, c", "b, a", "b, c", "c, a", "c, b"});
    CHECK(all("{0-1$$a}") == std::set<std::string>{"", "a"});
    CHECK(all("{2$$ and $$a|b}") == std::set<std::string>{"a and b", "b and a"});
    CHECK(all("{5$$a|b}") == std::set<std::string>{"a, b", "b, a"});
}

TEST_CASE("a seed gives one prompt, the same everywhere") {
    const std::string prompt = "{1-3$$a|b|c|d} __colour__ {x|y|z} {3::p|q}";
    CHECK(expanded(prompt, 1) == expanded(prompt, 1));
    // Computed by another implementation of the same steps.
    CHECK(expanded(prompt, 7) == "a, d green x p");
    CHECK(expanded(prompt, 123456789012345) == "c, a, b green z q");
}

TEST_CASE("what is no wildcard is text") {
    for (const char* text : {"{open", "a } b", "__", "____", "__a", "a__b", "__a:b__", "(a:1.2) [b|c]", "__ x__"})
        CHECK(expanded(text) == text);
    CHECK(expanded(R"(\{a\|b\})") == "{a|b}");
    CHECK(expanded("{}").empty());
    CHECK(expanded(R"(\(a\))") == R"(\(a\))");
}

TEST_CASE("wildcards that are not there, are empty or never end are errors") {
    CHECK(expanded("__nothing__") == "error: no nothing");
    CHECK(expanded("__empty__") == "error: the wildcard 'empty' has no lines");
    CHECK(expanded("__loop__") == "error: the prompt's wildcards and choices nest more than 30 deep");
    CHECK(expanded("__snow__").starts_with("error: the prompt's wildcards and choices "));
    CHECK(expanded(std::string(1000, '{') + std::string(1000, '}')).starts_with("error: the prompt's wildcards"));
}
