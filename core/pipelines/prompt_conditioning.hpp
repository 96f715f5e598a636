// The conditionings of a request over its steps: prompts may change on the way ("[hill:cliff:0.5]"), and several may be
// joined with AND.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/conditioning.hpp"
#include "models/model.hpp"

namespace pumice {

/// The numbers that the UNet of SD XL, or its refiner, is told beside the prompt. Pixels.
struct PictureSizes {
    float original_height = 0, original_width = 0;  ///< 0: the picture's, as in AUTOMATIC1111
    float crop_top = 0, crop_left = 0;
    float target_height = 0, target_width = 0;      ///< 0: the picture's
    float aesthetic_score = 6, negative_aesthetic_score = 2.5f;  ///< of the refiner
};

struct PromptRequest {
    std::string prompt, negative_prompt;
    std::uint32_t steps = 20;      ///< model calls of the run, which prompt schedules count
    std::uint32_t clip_skip = 1;   ///< see TextEncoderOptions
    PictureSizes sizes;
    std::span<const TextualInversion> embeddings = {};  ///< by their names; those that the model does not take are words
    Emphasis emphasis = Emphasis::original;
};

/// One of the prompts that AND joins.
struct WeightedConditioning {
    const Conditioning* conditioning = nullptr;
    double weight = 1;
    friend bool operator==(const WeightedConditioning&, const WeightedConditioning&) = default;
};

/// What the model is told from a call on. The conditionings belong to the PromptConditioning.
struct PromptStep {
    std::uint32_t first_call = 0;
    std::vector<WeightedConditioning> cond;  ///< at least one
    const Conditioning* uncond = nullptr;
};

/// An embedding's vectors for text encoder i of a model; null when it has none of its width.
const EmbeddingVectors* vectors_for(const TextualInversion&, const ModelConfig&, std::size_t i);
/// Whether it has them for every text encoder.
bool fits(const TextualInversion&, const ModelConfig&);

class PromptConditioning {
public:
    /// Runs the text encoders over every text that the two prompts contain in a run of the steps. AND joins prompts in
    /// the prompt alone; in the negative prompt it is text, as in AUTOMATIC1111. There, too, an empty negative prompt
    /// is zeros for SD XL and its refiner, which were trained with the prompt dropped that way.
    static Result<PromptConditioning> encode(Model&, const PromptRequest&, const std::atomic<bool>* cancel = nullptr);

    /// The step that begins with this call of the model (from 0), or null when nothing changes there.
    const PromptStep* starting_at(std::uint32_t call) const;
    /// The step that this call belongs to.
    const PromptStep& at(std::uint32_t call) const;
    const std::vector<PromptStep>& steps() const { return steps_; }

private:
    std::map<std::string, Conditioning> texts_, negative_texts_;
    std::vector<PromptStep> steps_;
};

}  // namespace pumice
