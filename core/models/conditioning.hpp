// From weighted tokens to the conditioning the UNet attends to.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "graph/program.hpp"
#include "models/text_encoder.hpp"
#include "text/prompt.hpp"

namespace pumice {

/// Hidden states of a prompt: {tokens, width} f32, row by row; 77 tokens a chunk.
struct Conditioning {
    std::uint32_t tokens = 0, width = 0;
    std::vector<float> values;
};

/// AUTOMATIC1111's ways to apply attention weights.
enum class Emphasis : std::uint8_t {
    original,  ///< the mean of the chunk's states is restored
    no_norm,   ///< it is not
};

/// Multiplies each token's state by its weight. states {77, width}. Sums are in double and in order, so the result is
/// the same everywhere.
void apply_emphasis(std::span<float> states, std::span<const float> weights, Emphasis emphasis = Emphasis::original);

/// Runs the text encoder, one chunk of 77 tokens at a time. Always in fp32 or exact: it costs little, and what it
/// rounds away no later stage can bring back.
class TextConditioner {
public:
    /// `exact`: Precision::exact, else fp32. The weights belong to the caller and outlive this.
    static Result<std::unique_ptr<TextConditioner>> create(std::shared_ptr<Device>, KernelCache&, WeightSet&, bool exact,
                                                           std::uint32_t heads, std::uint32_t clip_skip);

    /// States of one chunk after the final layer norm, {77, width}, without emphasis.
    Result<std::vector<float>> states(std::span<const std::int32_t, 77> tokens, const std::atomic<bool>* cancel = nullptr);

    /// All chunks of a prompt with emphasis applied.
    Result<Conditioning> encode(std::span<const PromptChunk> chunks, const std::atomic<bool>* cancel = nullptr,
                                Emphasis emphasis = Emphasis::original);

private:
    TextConditioner() = default;
    std::shared_ptr<Device> device_;
    BufferRange tokens_;
    Arena arena_;
    std::unique_ptr<Program> program_;
    TensorId output_;
    std::uint32_t width_ = 0;
    std::map<std::array<std::int32_t, 77>, std::vector<float>> cache_;  ///< the negative prompt comes again and again
};

}  // namespace pumice
