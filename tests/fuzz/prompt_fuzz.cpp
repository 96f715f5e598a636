// A prompt of any bytes, through wildcards, networks, the tokenizer and all of the prompt syntax. The first byte
// chooses the schedule's steps and seeds the wildcards.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/prompt.hpp"
#include "text/prompt_networks.hpp"
#include "text/prompt_schedule.hpp"
#include "text/unicode.hpp"
#include "text/wildcards.hpp"

namespace {

using namespace pumice;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

void check_error(const Error& error) {
    require(error.code == Code::invalid_argument, "a refused prompt is an invalid argument");
    require(error.message.find('\n') == std::string::npos, "the message is one line");
    require(static_cast<bool>(check_utf8(error.message)), "the message is UTF-8");
}

const Tokenizer& tokenizer() {
    static const Tokenizer made = [] {
        auto result = Tokenizer::embedded();
        require(static_cast<bool>(result), "the embedded vocabulary is fine");
        return *std::move(result);
    }();
    return made;
}

void check_tokens(std::string_view text) {
    const auto ids = tokenizer().encode(text);
    if (!ids) return check_error(ids.error());
    const auto decoded = tokenizer().decode(*ids);
    require(static_cast<bool>(decoded), "what was encoded can be decoded");
    require(static_cast<bool>(check_utf8(*decoded)), "decoded text is UTF-8");
}

/// Every wildcard has lines that name others.
void check_wildcards(std::string_view text, std::uint64_t seed) {
    const WildcardLines lines = [](const std::string& name) -> Result<std::vector<std::string>> {
        if (name.size() > 8) return Error{Code::invalid_argument, "no such wildcard"};
        return std::vector<std::string>{name, "{a|__" + name + "__}", "__b__ {2$$c|d}"};
    };
    const auto expanded = expand_wildcards(text, seed, lines);
    if (!expanded)
        return require(expanded.error().code == Code::invalid_argument, "a refused prompt is an invalid argument");
    require(expanded->size() <= 3 * largest_prompt_bytes, "a prompt does not grow without end");
    const auto again = expand_wildcards(text, seed, lines);
    require(again && *again == *expanded, "a seed gives one prompt");
}

void check_networks(std::string_view text) {
    const auto taken = take_networks(text);
    if (!taken) return require(taken.error().code == Code::invalid_argument, "a refused weight is an invalid argument");
    require(taken->text.size() <= text.size(), "networks are taken out");
    for (const PromptNetwork& n : taken->networks)
        require(!n.name.empty() && std::isfinite(n.text) && std::isfinite(n.unet), "a network has a name and weights");
}

void check_chunks(std::string_view text) {
    // Two names, one of which begins as the other: a long one of few places, and one that fills a chunk.
    static const std::vector<PromptEmbedding> embeddings{{*tokenizer().encode("a b c"), 2},
                                                         {*tokenizer().encode("a"), 75}};
    const auto chunks = chunk_prompt(tokenizer(), text, embeddings);
    if (!chunks) return check_error(chunks.error());
    require(!chunks->empty(), "there is a chunk");
    for (const PromptChunk& chunk : *chunks) {
        require(chunk.tokens.front() == tokenizer().start() && chunk.tokens.back() == tokenizer().end(),
                "a chunk is between start and end");
        for (const float weight : chunk.weights) require(std::isfinite(weight), "weights are finite");
        require(chunk.length <= tokens_per_chunk - 2, "a chunk is not longer than itself");
        for (const EmbeddingPlace& place : chunk.embeddings)
            require(place.token >= 1 && place.token + embeddings[place.embedding].vectors < tokens_per_chunk,
                    "an embedding lies in its chunk");
    }
}

void check_schedule(std::string_view text, const ScheduleOptions& options) {
    const auto entries = schedule_prompt(text, options);
    if (!entries) return check_error(entries.error());
    std::uint32_t before = 0;
    for (const ScheduledPrompt& entry : *entries) {
        require(entry.last_step > before, "entries are in order");
        before = entry.last_step;
        require(entry.text.size() <= text.size(), "a schedule chooses from the prompt");
        require(static_cast<bool>(check_utf8(entry.text)), "a schedule cuts no character");
    }
    require(before == options.hires_steps.value_or(options.steps), "the last entry ends with the pass");
    check_chunks(entries->front().text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    ScheduleOptions options{1u + (data[0] & 15), {}};
    if (data[0] & 64) options.hires_steps = 8;
    options.old_scheduling = !options.hires_steps && (data[0] & 128);

    check_wildcards(text, data[0]);
    check_networks(text);
    check_tokens(text);
    const auto prompts = split_and(text);
    if (!prompts) {
        check_error(prompts.error());
        return 0;
    }
    for (const WeightedPrompt& prompt : *prompts) {
        require(std::isfinite(prompt.weight), "weights are finite");
        check_schedule(prompt.text, options);
    }
    return 0;
}
