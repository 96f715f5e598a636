#include "pipelines/prompt_conditioning.hpp"

#include <set>

#include "text/prompt_schedule.hpp"

namespace pumice {
namespace {

Result<std::vector<ScheduledPrompt>> schedule(const std::string& prompt, std::uint32_t steps) {
    PUMICE_ASSIGN(const auto parts, split_and(prompt));
    if (parts.size() > 1)
        return Error{Code::unsupported, "the prompt joins several with AND, which this version does not do: use one"};
    ScheduleOptions options;
    options.steps = steps;
    return schedule_prompt(parts[0].text, options);
}

}  // namespace

Result<PromptConditioning> PromptConditioning::encode(Model& model, const std::string& prompt,
                                                      const std::string& negative_prompt, std::uint32_t steps,
                                                      std::uint32_t clip_skip, const std::atomic<bool>* cancel) {
    PUMICE_ASSIGN(const auto cond, schedule(prompt, steps));
    PUMICE_ASSIGN(const auto uncond, schedule(negative_prompt, steps));
    PUMICE_ASSIGN(const auto encoder, TextConditioner::create(model.device(), *model.kernels(), model.text_weights(),
                                                              model.precision() == Precision::exact,
                                                              model.config().text.heads, clip_skip));
    PromptConditioning result;
    for (const auto* entries : {&cond, &uncond}) {
        for (const ScheduledPrompt& entry : *entries) {
            if (result.texts_.contains(entry.text)) continue;
            PUMICE_ASSIGN(const auto chunks, chunk_prompt(model.tokenizer(), entry.text));
            PUMICE_ASSIGN(result.texts_[entry.text], encoder->encode(chunks, cancel));
        }
    }
    // An entry holds up to and including the call that its last step names; the next begins with the one after.
    std::set<std::uint32_t> begins{0};
    for (const auto* entries : {&cond, &uncond})
        for (const ScheduledPrompt& entry : *entries)
            if (&entry != &entries->back()) begins.insert(entry.last_step + 1);
    for (const std::uint32_t call : begins)
        result.steps_.push_back(
            {call, &result.texts_.at(prompt_at(cond, call).text), &result.texts_.at(prompt_at(uncond, call).text)});
    return result;
}

const PromptStep* PromptConditioning::starting_at(std::uint32_t call) const {
    for (const PromptStep& step : steps_)
        if (step.first_call == call) return &step;
    return nullptr;
}

}  // namespace pumice
