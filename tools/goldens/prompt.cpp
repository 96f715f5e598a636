#include <cmath>

#include "suite.hpp"
#include "text/prompt.hpp"
#include "text/prompt_schedule.hpp"
#include "text/tokenizer.hpp"

namespace pumice::goldens {
namespace {

using nlohmann::json;

constexpr double kWeightTolerance = 1e-6;

bool same_weight(double a, double b) { return std::abs(a - b) <= kWeightTolerance; }

/// Runs `same` over every entry of a list; one line for the file, which names the first entry that differs. An entry
/// with "error" is one that the reference refuses too.
Status each(Suite& suite, const std::string& file, const std::function<Result<bool>(const json&)>& same) {
    if (!suite.exists(file + ".json") || !suite.wanted(file)) return {};
    PUMICE_ASSIGN(const json entries, suite.json(file + ".json"));
    std::size_t right = 0;
    std::string first_wrong;
    for (const json& entry : entries) {
        const auto result = same(entry);
        const bool ok = entry.contains("error") ? !result : result && *result;
        right += ok;
        if (!ok && first_wrong.empty()) first_wrong = ", first wrong: " + entry["text"].dump();
    }
    suite.exact(file, right == entries.size(),
                std::to_string(right) + " of " + std::to_string(entries.size()) + first_wrong);
    return {};
}

Result<bool> same_tokens(const Tokenizer& tokenizer, const json& entry) {
    PUMICE_ASSIGN(const auto ids, tokenizer.encode(entry["text"].get<std::string>()));
    const TokenRow row = tokenizer.row(ids, tokenizer.end());
    return ids == entry["ids"].get<std::vector<std::int32_t>>() &&
           std::vector(row.begin(), row.end()) == entry["clip77_pad_eot"].get<std::vector<std::int32_t>>();
}

Result<bool> same_attention(const json& entry) {
    PUMICE_ASSIGN(const auto parts, parse_attention(entry["text"].get<std::string>()));
    const json& expected = entry["out"];
    if (parts.size() != expected.size()) return false;
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (json(parts[i].text) != expected[i][0] || !same_weight(parts[i].weight, expected[i][1])) return false;
    return true;
}

Result<bool> same_chunks(const Tokenizer& tokenizer, const json& entry) {
    PUMICE_ASSIGN(const auto chunks, chunk_prompt(tokenizer, entry["text"].get<std::string>()));
    const json& expected = entry["chunks"];
    if (chunks.size() != expected.size()) return false;
    for (std::size_t i = 0; i < chunks.size(); ++i)
        for (std::size_t t = 0; t < tokens_per_chunk; ++t)
            if (chunks[i].tokens[t] != expected[i]["tokens"][t] ||
                !same_weight(double(chunks[i].weights[t]), expected[i]["multipliers"][t]))
                return false;
    return true;
}

Result<bool> same_schedule(const json& entry) {
    ScheduleOptions options;
    options.steps = entry["base_steps"];
    if (entry.contains("hires_steps") && !entry["hires_steps"].is_null()) options.hires_steps = entry["hires_steps"];
    options.old_scheduling = entry.value("use_old_scheduling", false);
    PUMICE_ASSIGN(const auto entries, schedule_prompt(entry["text"].get<std::string>(), options));
    const json& expected = entry["out"];
    if (entries.size() != expected.size()) return false;
    for (std::size_t i = 0; i < entries.size(); ++i)
        if (entries[i].last_step != expected[i][0] || json(entries[i].text) != expected[i][1]) return false;
    return true;
}

Result<bool> same_parts(const json& entry) {
    PUMICE_ASSIGN(const auto parts, split_and(entry["text"].get<std::string>()));
    const json& expected = entry["parts"];
    if (parts.size() != expected.size()) return false;
    for (std::size_t i = 0; i < parts.size(); ++i)
        if (json(parts[i].text) != expected[i][0] || !same_weight(parts[i].weight, expected[i][1])) return false;
    return true;
}

}  // namespace

void tokenizer_cases(Suite& suite) {
    suite.run("tokenizer", [&]() -> Status {
        PUMICE_ASSIGN(const Tokenizer tokenizer, Tokenizer::embedded());
        return each(suite, "tokenizer/tokens", [&](const json& e) { return same_tokens(tokenizer, e); });
    });
}

void prompt_cases(Suite& suite) {
    suite.run("prompt", [&]() -> Status {
        PUMICE_ASSIGN(const Tokenizer tokenizer, Tokenizer::embedded());
        PUMICE_TRY(each(suite, "prompt/attention", same_attention));
        PUMICE_TRY(each(suite, "prompt/chunks", [&](const json& e) { return same_chunks(tokenizer, e); }));
        PUMICE_TRY(each(suite, "prompt/schedules", same_schedule));
        return each(suite, "prompt/and", same_parts);
    });
}

}  // namespace pumice::goldens
