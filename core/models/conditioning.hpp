// From weighted tokens to the conditioning the UNet attends to.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "adapters/textual_inversion.hpp"
#include "graph/program.hpp"
#include "models/text_encoder.hpp"
#include "text/prompt.hpp"

namespace pumice {

/// Hidden states of a prompt: {tokens, width} f32, row by row; 77 tokens a chunk.
struct Conditioning {
    std::uint32_t tokens = 0, width = 0;
    std::vector<float> values = {};
    /// What the UNet's label_emb takes (SD XL): the first chunk's pooled state, then the sizes (size_embedding); empty
    /// where there is none.
    std::vector<float> vector = {};
};

/// Sinusoidal embeddings of numbers, kSizeChannels each: cosines, then sines (sgm ConcatTimestepEmbedderND).
std::vector<float> size_embedding(std::span<const float> numbers);

/// The same tokens side by side: what the UNet of a model with several text encoders attends to. The vector is the last
/// one's that has any.
Conditioning side_by_side(std::span<const Conditioning> parts);

/// AUTOMATIC1111's ways to apply attention weights.
enum class Emphasis : std::uint8_t {
    original,  ///< the mean of the chunk's states is restored
    no_norm,   ///< it is not
};

/// Multiplies each token's state by its weight. states {77, width}. Sums are in double and in order, so the result is
/// the same everywhere.
void apply_emphasis(std::span<float> states, std::span<const float> weights, Emphasis emphasis = Emphasis::original);

/// Runs one text encoder, one chunk of 77 tokens at a time. Always in fp32 or exact: it costs little, and what it
/// rounds away no later stage can bring back.
class TextConditioner {
public:
    /// `exact`: Precision::exact, else fp32. The weights belong to the caller and outlive this. `embeddings`: what
    /// PromptChunk::embeddings counts in; Code::invalid_argument for one of another width.
    static Result<std::unique_ptr<TextConditioner>> create(std::shared_ptr<Device>, KernelCache&, WeightSet&, bool exact,
                                                           const TextConfig&, std::uint32_t clip_skip,
                                                           std::span<const EmbeddingVectors> embeddings = {});

    struct Chunk {
        std::vector<float> states;  ///< {77, width} (of BERT: {positions, width}), as config.output says, without emphasis
        std::vector<float> pooled;  ///< {projection}: the end token's state, through all layers and text_projection
    };
    /// `tokens`, as many as a chunk has, end with the end token (of BERT: with padding); those after the first end token are replaced where the layout pads otherwise.
    Result<Chunk> states(std::span<const std::int32_t> tokens, const std::atomic<bool>* cancel = nullptr);

    /// All chunks of a prompt with emphasis applied; the vector is the first chunk's pooled state.
    Result<Conditioning> encode(std::span<const PromptChunk> chunks, const std::atomic<bool>* cancel = nullptr,
                                Emphasis emphasis = Emphasis::original);

private:
    /// Where the vectors of an embedding stand among the tokens.
    struct EmbeddingRows {
        std::int32_t first_token = 0, count = 0;
    };
    TextConditioner() = default;
    Result<TensorId> add_embeddings(Graph&, std::span<const EmbeddingVectors>);
    std::shared_ptr<Device> device_;
    BufferRange tokens_;
    Arena arena_;
    std::unique_ptr<Program> program_;
    TensorId output_, last_;
    std::vector<EmbeddingRows> embeddings_;
    TextConfig config_;
    std::uint32_t chunk_tokens_ = 0;
    std::vector<float> projection_;  ///< {width, projection}
    std::map<TokenRow, Chunk> cache_;  ///< the negative prompt comes again and again
};

}  // namespace pumice
