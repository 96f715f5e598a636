#include "models/conditioning.hpp"

#include <algorithm>
#include <numeric>

#include "vulkan/command.hpp"

namespace pumice {
namespace {

constexpr std::uint32_t kTokens = 77;
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

Result<std::unique_ptr<TextConditioner>> TextConditioner::create(std::shared_ptr<Device> device, KernelCache& kernels,
                                                                 WeightSet& weights, bool exact, std::uint32_t heads,
                                                                 std::uint32_t clip_skip) {
    std::unique_ptr<TextConditioner> made(new TextConditioner);
    made->device_ = device;
    PUMICE_ASSIGN(auto buffer, device->allocator().create(kTokens * 4, Intent::shared, "tokens"));
    made->tokens_ = {buffer, 0, kTokens * 4};

    Graph g(device->caps(), exact ? Precision::exact : Precision::fp32, device->assumed_gflops());
    const TensorId tokens = g.external({1, 1, kTokens, 1}, DType::i32, made->tokens_, "tokens");
    made->output_ = text_encoder(g, weights, tokens, {.heads = heads, .clip_skip = clip_skip});
    if (const Error* error = g.error()) return *error;
    g.keep(made->output_);
    made->width_ = g.shape(made->output_).c;
    PUMICE_TRY(weights.flush());
    PUMICE_ASSIGN(made->program_, Program::compile(device, kernels, made->arena_, g, {.name = "text encoder"}));
    return made;
}

Result<std::vector<float>> TextConditioner::states(std::span<const std::int32_t, 77> tokens,
                                                   const std::atomic<bool>* cancel) {
    std::array<std::int32_t, kTokens> key;
    std::copy(tokens.begin(), tokens.end(), key.begin());
    if (const auto it = cache_.find(key); it != cache_.end()) return it->second;
    PUMICE_TRY(write_range(device_, tokens_, std::as_bytes(tokens)));
    PUMICE_TRY(program_->run(cancel));
    std::vector<float> values(std::size_t(kTokens) * width_);
    PUMICE_TRY(read_range(device_, program_->range(output_), std::as_writable_bytes(std::span(values))));
    if (cache_.size() >= kCachedChunks) cache_.clear();
    cache_.emplace(key, values);
    return values;
}

Result<Conditioning> TextConditioner::encode(std::span<const PromptChunk> chunks, const std::atomic<bool>* cancel,
                                             Emphasis emphasis) {
    Conditioning result{kTokens * static_cast<std::uint32_t>(chunks.size()), width_, {}};
    for (const PromptChunk& chunk : chunks) {
        PUMICE_ASSIGN(std::vector<float> values, states(chunk.tokens, cancel));
        apply_emphasis(values, chunk.weights, emphasis);
        result.values.insert(result.values.end(), values.begin(), values.end());
    }
    return result;
}

}  // namespace pumice
