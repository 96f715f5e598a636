#include "models/conditioning.hpp"

#include <algorithm>
#include <numeric>

#include "base/exact_math.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

constexpr std::size_t kCachedChunks = 64;

double mean(std::span<const float> values) {
    double sum = 0;
    for (const float v : values) sum += v;
    return sum / static_cast<double>(values.size());
}

}  // namespace

void apply_emphasis(std::span<float> states, std::span<const float> weights, Emphasis emphasis) {
    if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 1.0f; })) return;
    const std::size_t width = states.size() / weights.size();
    const double before = mean(states);
    for (std::size_t i = 0; i < states.size(); ++i) states[i] *= weights[i / width];
    if (emphasis == Emphasis::no_norm) return;
    const double after = mean(states);
    if (after == 0) return;
    const auto restore = static_cast<float>(before / after);
    for (float& v : states) v *= restore;
}

std::vector<float> size_embedding(std::span<const float> numbers) {
    constexpr std::uint32_t kHalf = kSizeChannels / 2;
    std::vector<float> values;
    for (const float number : numbers) {
        const std::size_t at = values.size();
        values.resize(at + kSizeChannels);
        for (std::uint32_t i = 0; i < kHalf; ++i) {
            // Rounded where the reference, in float32, rounds.
            const float exponent = -static_cast<float>(exact::log(10000)) * static_cast<float>(i) / kHalf;
            const auto frequency = static_cast<float>(exact::exp(double(exponent)));
            const auto angle = static_cast<double>(number * frequency);
            values[at + i] = static_cast<float>(exact::cos(angle));
            values[at + kHalf + i] = static_cast<float>(exact::sin(angle));
        }
    }
    return values;
}

Conditioning side_by_side(std::span<const Conditioning> parts) {
    Conditioning joined;
    for (const Conditioning& part : parts) {
        joined.tokens = part.tokens;
        joined.width += part.width;
        if (!part.vector.empty()) joined.vector = part.vector;
    }
    for (std::size_t token = 0; token < joined.tokens; ++token)
        for (const Conditioning& part : parts) {
            const float* const row = part.values.data() + token * part.width;
            joined.values.insert(joined.values.end(), row, row + part.width);
        }
    return joined;
}

Result<std::unique_ptr<TextConditioner>> TextConditioner::create(std::shared_ptr<Device> device, KernelCache& kernels,
                                                                 WeightSet& weights, bool exact,
                                                                 const TextConfig& config, std::uint32_t clip_skip,
                                                                 std::span<const EmbeddingVectors> embeddings) {
    std::unique_ptr<TextConditioner> made(new TextConditioner);
    made->device_ = device;
    made->config_ = config;
    const std::uint32_t count = config.layout == TextLayout::bert ? config.positions : std::uint32_t(tokens_per_chunk);
    made->chunk_tokens_ = count;
    PUMICE_ASSIGN(auto buffer, device->allocator().create(count * 4, Intent::shared, "tokens"));
    made->tokens_ = {buffer, 0, count * 4};
    if (config.projection > 0) {
        PUMICE_ASSIGN(made->projection_, weights.values("text_projection"));
    }

    Graph g(device->caps(), exact ? Precision::exact : Precision::fp32, device->assumed_gflops());
    const TensorId tokens = g.external({1, 1, count, 1}, DType::i32, made->tokens_, "tokens");
    PUMICE_ASSIGN(const TensorId more, made->add_embeddings(g, embeddings));
    made->output_ = text_encoder(
        g, weights, tokens, config,
        {.clip_skip = clip_skip, .more_embeddings = more, .last_normed = config.projection > 0 ? &made->last_ : nullptr});
    if (const Error* error = g.error()) return *error;
    g.keep(made->output_);
    if (made->last_) g.keep(made->last_);
    PUMICE_TRY(weights.flush());
    PUMICE_ASSIGN(made->program_, Program::compile(device, kernels, made->arena_, g, {.name = "text encoder"}));
    return made;
}

/// The vectors of all embeddings, one after the other, as a table; empty when there are none.
Result<TensorId> TextConditioner::add_embeddings(Graph& g, std::span<const EmbeddingVectors> embeddings) {
    std::vector<float> rows;
    auto token = static_cast<std::int32_t>(config_.vocabulary);
    for (const EmbeddingVectors& e : embeddings) {
        if (e.width != config_.width)
            return Error{Code::invalid_argument, "an embedding of width " + std::to_string(e.width) +
                                                     " for a text encoder of width " + std::to_string(config_.width)};
        embeddings_.push_back({token, static_cast<std::int32_t>(e.count)});
        token += static_cast<std::int32_t>(e.count);
        rows.insert(rows.end(), e.values.begin(), e.values.end());
    }
    if (rows.empty()) return TensorId{};
    const std::uint64_t bytes = rows.size() * 4;
    PUMICE_ASSIGN(auto buffer, device_->allocator().create(bytes, Intent::device, "embeddings"));
    const BufferRange range{std::move(buffer), 0, bytes};
    PUMICE_TRY(write_range(device_, range, std::as_bytes(std::span(rows))));
    const auto count = static_cast<std::uint32_t>(rows.size() / config_.width);
    return g.external({1, 1, count, config_.width}, DType::f32, range, "embeddings");
}

Result<TextConditioner::Chunk> TextConditioner::states(std::span<const std::int32_t> tokens,
                                                       const std::atomic<bool>* cancel) {
    if (tokens.size() != chunk_tokens_)
        return Error{Code::internal, "a chunk of " + std::to_string(tokens.size()) + " tokens"};
    TokenRow key(tokens.begin(), tokens.end());
    const auto end = std::find(key.begin(), key.end(), key.back());
    if (config_.layout == TextLayout::open_clip) std::fill(end + 1, key.end(), 0);
    if (const auto it = cache_.find(key); it != cache_.end()) return it->second;
    PUMICE_TRY(write_range(device_, tokens_, std::as_bytes(std::span(key))));
    PUMICE_TRY(program_->run(cancel));
    const std::size_t width = config_.width;
    Chunk chunk;
    chunk.states.resize(chunk_tokens_ * width);
    PUMICE_TRY(read_range(device_, program_->range(output_), std::as_writable_bytes(std::span(chunk.states))));
    if (last_) {
        std::vector<float> last(chunk_tokens_ * width);
        PUMICE_TRY(read_range(device_, program_->range(last_), std::as_writable_bytes(std::span(last))));
        const std::size_t row = static_cast<std::size_t>(end - key.begin()) * width;
        // On the host, in double and in order: it is one vector, and the same everywhere.
        std::vector<double> sums(config_.projection, 0);
        for (std::size_t i = 0; i < width; ++i)
            for (std::size_t o = 0; o < sums.size(); ++o)
                sums[o] += double(last[row + i]) * double(projection_[i * sums.size() + o]);
        for (const double sum : sums) chunk.pooled.push_back(static_cast<float>(sum));
    }
    if (cache_.size() >= kCachedChunks) cache_.clear();
    cache_.emplace(key, chunk);
    return chunk;
}

Result<Conditioning> TextConditioner::encode(std::span<const PromptChunk> chunks, const std::atomic<bool>* cancel,
                                             Emphasis emphasis) {
    Conditioning result{chunk_tokens_ * static_cast<std::uint32_t>(chunks.size()), config_.width, {}, {}};
    for (const PromptChunk& chunk : chunks) {
        TokenRow tokens = chunk.tokens;
        for (const EmbeddingPlace& place : chunk.embeddings) {
            const EmbeddingRows& rows = embeddings_[place.embedding];
            std::iota(tokens.begin() + place.token, tokens.begin() + place.token + rows.count, rows.first_token);
        }
        PUMICE_ASSIGN(Chunk values, states(tokens, cancel));
        apply_emphasis(values.states, chunk.weights, emphasis);
        if (result.values.empty()) result.vector = values.pooled;
        result.values.insert(result.values.end(), values.states.begin(), values.states.end());
    }
    return result;
}

}  // namespace pumice
