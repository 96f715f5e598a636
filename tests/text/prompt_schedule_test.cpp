#include "text/prompt_schedule.hpp"

#include <cmath>

#include "text/golden_json.hpp"
#include "text/prompt.hpp"

using namespace pumice;

namespace {

using Entries = std::vector<std::pair<std::uint32_t, std::string>>;

Entries schedule(std::string_view prompt, ScheduleOptions options) {
    const auto entries = schedule_prompt(prompt, options);
    REQUIRE(entries);
    Entries out;
    for (const auto& entry : *entries) out.emplace_back(entry.last_step, entry.text);
    return out;
}

Entries schedule(std::string_view prompt, std::uint32_t steps) {
    return schedule(prompt, ScheduleOptions{steps, {}});
}

std::string repeat(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

}  // namespace

TEST_CASE("The stored prompts have the reference's schedules", "[text][goldens]") {
    for (const auto& stored : read_golden_json("prompt/schedules.json")) {
        const std::string text = stored["text"];
        INFO(text);
        ScheduleOptions options;
        options.steps = stored["base_steps"];
        if (stored.contains("hires_steps")) options.hires_steps = stored["hires_steps"].get<std::uint32_t>();
        options.old_scheduling = stored.value("use_old_scheduling", false);
        CHECK(schedule(text, options) == stored["out"].get<Entries>());
    }
}

TEST_CASE("The stored prompts are split at AND as the reference does", "[text][goldens]") {
    for (const auto& stored : read_golden_json("prompt/and.json")) {
        const std::string text = stored["text"];
        INFO(text);
        const auto prompts = split_and(text);
        REQUIRE(prompts);
        REQUIRE(prompts->size() == stored["parts"].size());
        for (std::size_t i = 0; i < prompts->size(); ++i) {
            CHECK((*prompts)[i].text == stored["parts"][i][0].get<std::string>());
            CHECK(std::abs((*prompts)[i].weight - stored["parts"][i][1].get<double>()) <= 1e-6);
        }
    }
}

TEST_CASE("Schedules nest and stand among other brackets", "[text]") {
    CHECK(schedule("[[a|b]:[c:d:6]:4]", 7) ==
          Entries{{1, "a"}, {2, "b"}, {3, "a"}, {4, "b"}, {5, "c"}, {6, "c"}, {7, "d"}});
    CHECK(schedule("[a|[b|c]]", 4) == Entries{{1, "a"}, {2, "c"}, {3, "a"}, {4, "c"}});
    CHECK(schedule("(x [a:b:2]", 4) == Entries{{2, "(x a"}, {4, "(x b"}});
    CHECK(schedule("[x [a:b:2]", 4) == Entries{{2, "[x a"}, {4, "[x b"}});
    CHECK(schedule("[a:b:2])", 4) == Entries{{2, "a)"}, {4, "b)"}});
    CHECK(schedule("[(a:b:2]", 4) == Entries{{4, "[(a:b:2]"}});    // a bracket within that is not closed
    CHECK(schedule("[a:b:c:2]", 4) == Entries{{4, "[a:b:c:2]"}});  // one too many
    CHECK(schedule("[a:b:\u30002.5e-1\t]", 8) == Entries{{2, "a"}, {8, "b"}});
    CHECK(schedule("[a:b:1e1]", 20) == Entries{{10, "a"}, {20, "b"}});
    CHECK(schedule("[a:b:1e999]", 20) == Entries{{20, "a"}});
    CHECK(schedule("[:3]", 5) == Entries{{3, ""}, {5, ""}});
    CHECK(schedule("\\[a\\|b\\:2\\]", 5) == Entries{{5, "\\[a\\|b\\:2\\]"}});
}

TEST_CASE("A prompt outside of the grammar stays as it is", "[text]") {
    for (const char* prompt : {"a | [b:c:2]", "[a:b:2] \\", "[a:b:2] \\\nx", "(a|b) [c:d:2]", "[a|b"})
        CHECK(schedule(prompt, 4) == Entries{{4, prompt}});
}

TEST_CASE("Brackets without end or depth are no trouble", "[text]") {
    const int many = 20'000;
    CHECK(schedule(repeat("[", many), 4) == Entries{{4, repeat("[", many)}});
    CHECK(schedule(repeat("(", many) + "x]", 4) == Entries{{4, repeat("(", many) + "x]"}});
    CHECK(schedule(repeat("[a:", many) + repeat("b:2]", 100), 4).back().first == 4);
}

TEST_CASE("What cannot be scheduled is refused", "[text]") {
    const auto refused = [](std::string_view prompt, ScheduleOptions options) {
        const auto entries = schedule_prompt(prompt, options);
        return !entries && entries.error().code == Code::invalid_argument;
    };
    CHECK(refused("a", {0, {}}));
    CHECK(refused("a", {20, 0}));
    CHECK(refused("a", {10'001, {}}));
    CHECK(refused("a\xFF", {}));
    CHECK(refused(std::string(largest_prompt_bytes + 1, 'a'), {}));
    CHECK(refused(repeat("(", 201) + repeat(")", 201), {}));
    CHECK(!refused(repeat("(", 200) + repeat(")", 200), {}));
    CHECK(!split_and("a\xFF"));
    CHECK(!split_and("a AND b:" + repeat("9", 50)));
}

TEST_CASE("AND is a word of its own", "[text]") {
    const auto texts = [](std::string_view prompt) {
        std::vector<std::pair<std::string, double>> out;
        const auto prompts = split_and(prompt);
        REQUIRE(prompts);
        for (const auto& [text, weight] : *prompts) out.emplace_back(text, weight);
        return out;
    };
    using List = std::vector<std::pair<std::string, double>>;
    CHECK(texts("") == List{{"", 1}});
    CHECK(texts("AND") == List{{"", 1}, {"", 1}});
    CHECK(texts("SAND éAND AND_ and") == List{{"SAND éAND AND_ and", 1}});
    CHECK(texts("a::.5 AND b :1. AND c:1.2.3") == List{{"a:", .5}, {" b", 1}, {" c:1.2.3", 1}});
    CHECK(texts("(a:1.5)AND(b:2)") == List{{"(a:1.5)", 1}, {"(b:2)", 1}});
    CHECK(texts("a:+2") == List{{"a", 2}});
}

TEST_CASE("A call finds its prompt", "[text]") {
    const std::vector<ScheduledPrompt> entries = {{4, "a"}, {8, "b"}};
    CHECK(prompt_at(entries, 0).text == "a");
    CHECK(prompt_at(entries, 4).text == "a");  // one call more than the step says, as in the reference
    CHECK(prompt_at(entries, 5).text == "b");
    CHECK(prompt_at(entries, 9).text == "b");
}
