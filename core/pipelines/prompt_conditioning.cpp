#include "pipelines/prompt_conditioning.hpp"

#include <algorithm>
#include <memory>
#include <set>

#include "text/prompt_schedule.hpp"

namespace pumice {
namespace {

using Schedule = std::vector<ScheduledPrompt>;

/// All text encoders of a model.
class Encoders {
public:
    static Result<Encoders> create(Model& model, const PromptRequest& request) {
        Encoders made(model);
        model.make_room_for_text();
        made.emphasis_ = request.emphasis;
        std::vector<const TextualInversion*> fitting;
        for (const TextualInversion& embedding : request.embeddings) {
            if (!fits(embedding, model.config())) continue;
            PUMICE_ASSIGN(auto ids, model.tokenizer().encode(embedding.name));
            made.embeddings_.push_back({std::move(ids), embedding.count()});
            fitting.push_back(&embedding);
        }
        for (std::size_t i = 0; i < model.config().text.size(); ++i) {
            std::vector<EmbeddingVectors> vectors;
            for (const TextualInversion* embedding : fitting)
                vectors.push_back(*vectors_for(*embedding, model.config(), i));
            PUMICE_ASSIGN(auto encoder, TextConditioner::create(model.device(), *model.kernels(), model.text_weights(i),
                                                                model.precision() == Precision::exact,
                                                                model.config().text[i], request.clip_skip, vectors));
            made.encoders_.push_back(std::move(encoder));
        }
        return made;
    }

    Result<Conditioning> encode(const std::string& text, const std::atomic<bool>* cancel) const {
        PUMICE_ASSIGN(const auto chunks, chunk_prompt(model_->tokenizer(), text, embeddings_));
        std::vector<Conditioning> parts;
        for (const auto& encoder : encoders_) {
            PUMICE_ASSIGN(auto part, encoder->encode(chunks, cancel, emphasis_));
            parts.push_back(std::move(part));
        }
        return side_by_side(parts);
    }

private:
    explicit Encoders(Model& model) : model_(&model) {}
    Model* model_;
    Emphasis emphasis_ = Emphasis::original;
    std::vector<PromptEmbedding> embeddings_;
    std::vector<std::unique_ptr<TextConditioner>> encoders_;
};

/// Appends what the UNet's vector has beside the pooled state.
void append_sizes(const Model& model, const PictureSizes& s, bool negative, Conditioning& to) {
    std::vector<float> numbers{s.original_height, s.original_width, s.crop_top, s.crop_left};
    switch (model.config().family) {
        case Family::sdxl:
            numbers.insert(numbers.end(), {s.target_height, s.target_width});
            break;
        case Family::sdxl_refiner:
            numbers.push_back(negative ? s.negative_aesthetic_score : s.aesthetic_score);
            break;
        default:
            return;
    }
    const std::vector<float> embedded = size_embedding(numbers);
    to.vector.insert(to.vector.end(), embedded.begin(), embedded.end());
}

/// The calls with which an entry begins: it holds up to and including the call that its last step names.
void add_begins(const Schedule& entries, std::set<std::uint32_t>& begins) {
    for (const ScheduledPrompt& entry : entries)
        if (&entry != &entries.back()) begins.insert(entry.last_step + 1);
}

}  // namespace

const EmbeddingVectors* vectors_for(const TextualInversion& embedding, const ModelConfig& config, std::size_t i) {
    const bool second = i == 1 || config.family == Family::sdxl_refiner;
    const EmbeddingVectors& vectors = second ? embedding.second : embedding.first;
    return vectors.count > 0 && vectors.width == config.text[i].width ? &vectors : nullptr;
}

bool fits(const TextualInversion& embedding, const ModelConfig& config) {
    for (std::size_t i = 0; i < config.text.size(); ++i)
        if (!vectors_for(embedding, config, i)) return false;
    // XL's has a width of SD 1's too, but was made beside the other.
    return !embedding.for_xl() || config.family == Family::sdxl || config.family == Family::sdxl_refiner;
}

Result<PromptConditioning> PromptConditioning::encode(Model& model, const PromptRequest& request,
                                                      const std::atomic<bool>* cancel) {
    ScheduleOptions options;
    options.steps = request.steps;
    PUMICE_ASSIGN(const auto parts, split_and(request.prompt));
    std::vector<Schedule> conds;
    for (const WeightedPrompt& part : parts) {
        PUMICE_ASSIGN(auto entries, schedule_prompt(part.text, options));
        conds.push_back(std::move(entries));
    }
    PUMICE_ASSIGN(const Schedule uncond, schedule_prompt(request.negative_prompt, options));

    PUMICE_ASSIGN(const Encoders encoders, Encoders::create(model, request));
    PromptConditioning result;
    const auto encode_all = [&](const Schedule& entries, bool negative) -> Status {
        auto& texts = negative ? result.negative_texts_ : result.texts_;
        for (const ScheduledPrompt& entry : entries) {
            if (texts.contains(entry.text)) continue;
            PUMICE_ASSIGN(Conditioning encoded, encoders.encode(entry.text, cancel));
            if (negative && request.negative_prompt.empty() && model.config().vector_sizes() > 0) {
                std::fill(encoded.values.begin(), encoded.values.end(), 0.0f);
                std::fill(encoded.vector.begin(), encoded.vector.end(), 0.0f);
            }
            append_sizes(model, request.sizes, negative, encoded);
            texts[entry.text] = std::move(encoded);
        }
        return {};
    };
    std::set<std::uint32_t> begins{0};
    for (const Schedule& entries : conds) {
        PUMICE_TRY(encode_all(entries, false));
        add_begins(entries, begins);
    }
    PUMICE_TRY(encode_all(uncond, true));
    add_begins(uncond, begins);
    for (const std::uint32_t call : begins) {
        PromptStep step{call, {}, &result.negative_texts_.at(prompt_at(uncond, call).text)};
        for (std::size_t i = 0; i < parts.size(); ++i)
            step.cond.push_back({&result.texts_.at(prompt_at(conds[i], call).text), parts[i].weight});
        result.steps_.push_back(std::move(step));
    }
    return result;
}

const PromptStep* PromptConditioning::starting_at(std::uint32_t call) const {
    for (const PromptStep& step : steps_)
        if (step.first_call == call) return &step;
    return nullptr;
}

const PromptStep& PromptConditioning::at(std::uint32_t call) const {
    const auto after = std::find_if(steps_.begin() + 1, steps_.end(),
                                    [call](const PromptStep& step) { return step.first_call > call; });
    return *(after - 1);
}

}  // namespace pumice
