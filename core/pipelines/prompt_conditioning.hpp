// The conditionings of a request over its steps: prompts may change on the way ("[hill:cliff:0.5]").
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/conditioning.hpp"
#include "models/model.hpp"

namespace pumice {

/// What the model is told from a call on. The conditionings belong to the PromptConditioning.
struct PromptStep {
    std::uint32_t first_call = 0;
    const Conditioning* cond = nullptr;
    const Conditioning* uncond = nullptr;
};

class PromptConditioning {
public:
    /// Runs the text encoder over every text that the two prompts contain in a run of `steps` steps.
    static Result<PromptConditioning> encode(Model&, const std::string& prompt, const std::string& negative_prompt,
                                             std::uint32_t steps, std::uint32_t clip_skip,
                                             const std::atomic<bool>* cancel = nullptr);

    /// The step that begins with this call of the model (from 0), or null when nothing changes there.
    const PromptStep* starting_at(std::uint32_t call) const;
    const std::vector<PromptStep>& steps() const { return steps_; }

private:
    std::map<std::string, Conditioning> texts_;
    std::vector<PromptStep> steps_;
};

}  // namespace pumice
