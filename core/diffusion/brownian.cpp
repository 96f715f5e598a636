#include "diffusion/brownian.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "diffusion/rng.hpp"

namespace pumice {
namespace {

/// numpy's SeedSequence (M. E. O'Neill's seed_seq_fe, with numpy's constants) with a pool of 24 words, as torchsde uses
/// it: words of entropy in, well mixed words out.
class SeedSequence {
public:
    static constexpr std::size_t kPool = 24;

    SeedSequence(std::uint64_t entropy, std::span<const std::uint32_t> spawn_key) {
        std::vector<std::uint32_t> words{static_cast<std::uint32_t>(entropy)};
        if (entropy >> 32) words.push_back(static_cast<std::uint32_t>(entropy >> 32));
        if (!spawn_key.empty()) words.resize(std::max(words.size(), kPool));
        words.insert(words.end(), spawn_key.begin(), spawn_key.end());

        std::uint32_t constant = 0x43b0d7e5u;
        const auto hash = [&constant](std::uint32_t value) {
            value ^= constant;
            constant *= 0x931e8875u;
            value *= constant;
            return value ^ (value >> 16);
        };
        const auto mix = [](std::uint32_t x, std::uint32_t y) {
            const std::uint32_t value = 0xca01f9ddu * x - 0x4973f715u * y;
            return value ^ (value >> 16);
        };
        for (std::size_t i = 0; i < kPool; ++i) pool_[i] = hash(i < words.size() ? words[i] : 0);
        for (std::size_t from = 0; from < kPool; ++from)
            for (std::size_t to = 0; to < kPool; ++to)
                if (from != to) pool_[to] = mix(pool_[to], hash(pool_[from]));
        for (std::size_t from = kPool; from < words.size(); ++from)
            for (std::size_t to = 0; to < kPool; ++to) pool_[to] = mix(pool_[to], hash(words[from]));
    }

    /// The first word of generate_state: the only one that is used here.
    std::uint32_t first() const {
        constexpr std::uint32_t kStart = 0x8b51f9ddu, kStep = 0x58f38dedu;
        std::uint32_t value = pool_[0] ^ kStart;
        value *= kStart * kStep;
        return value ^ (value >> 16);
    }

private:
    std::array<std::uint32_t, kPool> pool_{};
};

/// To six digits after the point, as Python does: of the exact value, so that a product that seems to end in 5 is none.
double rounded(double time) {
    const double product = time * 1e6, lost = std::fma(time, 1e6, -product);
    const double below = std::floor(product), beyond_half = product - below - 0.5 + lost;
    if (beyond_half == 0) return std::nearbyint(product) / 1e6;
    return (beyond_half > 0 ? below + 1 : below) / 1e6;
}

std::vector<float> normal(std::uint32_t seed, std::size_t count) {
    std::vector<float> values(count);
    NoiseSource(RngKind::torch_cpu, seed).normal(values);
    return values;
}

}  // namespace

struct BrownianTree::Node {
    double start = 0, end = 0, middle = 0;  ///< all rounded
    Node* parent = nullptr;
    bool left = false;
    std::uint64_t key = 0;    ///< which of its depth
    std::uint32_t depth = 0;  ///< of its own split; the root's is 0
    std::vector<float> values;
    std::unique_ptr<Node> first, second;
};

BrownianTree::BrownianTree(std::uint64_t seed, std::size_t count, double lowest, double highest)
    : seed_(seed), count_(count), lowest_(lowest), highest_(highest), root_(new Node) {
    root_->start = rounded(lowest);
    root_->end = rounded(highest);
    root_->values = normal(SeedSequence(seed, {}).first(), count);
    const float scale = static_cast<float>(std::sqrt(highest - lowest));
    for (float& v : root_->values) v *= scale;
}

BrownianTree::BrownianTree(BrownianTree&&) noexcept = default;
BrownianTree& BrownianTree::operator=(BrownianTree&&) noexcept = default;
BrownianTree::~BrownianTree() = default;

void BrownianTree::halve(Node& node) {
    node.middle = rounded(0.5 * (node.end + node.start));
    if (node.parent) {
        node.key = 2 * node.parent->key + (node.left ? 0 : 1);
        node.depth = node.parent->depth + 1;
    }
    node.first = std::make_unique<Node>();
    node.second = std::make_unique<Node>();
    node.first->start = node.start;
    node.first->end = node.second->start = node.middle;
    node.second->end = node.end;
    node.first->parent = node.second->parent = &node;
    node.first->left = true;
}

void BrownianTree::split(Node& node, double at) {
    Node* here = &node;
    while (true) {
        halve(*here);
        if (at == here->middle) return;
        here = at > here->middle ? here->second.get() : here->first.get();
    }
}

void BrownianTree::collect(Node& node, double from, double to, std::vector<Node*>& found) {
    if (from == node.start && to == node.end) {
        found.push_back(&node);
        return;
    }
    if (!node.first) split(node, from == node.start ? to : from);
    if (to <= node.middle) return collect(*node.first, from, to, found);
    if (from >= node.middle) return collect(*node.second, from, to, found);
    collect(*node.first, from, node.middle, found);
    collect(*node.second, node.middle, to, found);
}

const std::vector<float>& BrownianTree::value(Node& node) {
    if (!node.values.empty()) return node.values;
    Node& parent = *node.parent;
    const std::vector<float>& whole = value(parent);
    // Words of the key as numpy takes an integer: as many as it needs, one for 0.
    std::vector<std::uint32_t> key{static_cast<std::uint32_t>(parent.key)};
    if (parent.key >> 32) key.push_back(static_cast<std::uint32_t>(parent.key >> 32));
    key.push_back(parent.depth);
    const std::vector<float> noise = normal(SeedSequence(seed_, key).first(), count_);
    const double per_length = 1 / (parent.end - parent.start);
    const double before = parent.middle - parent.start, after = parent.end - parent.middle;
    const auto deviation = static_cast<float>(std::sqrt(before * after * per_length));
    const auto length = static_cast<float>(before), scale = static_cast<float>(per_length);
    std::vector<float> values(count_);
    for (std::size_t i = 0; i < count_; ++i) {
        const float bridge = length * whole[i] * scale + deviation * noise[i];
        values[i] = node.left ? bridge : whole[i] - bridge;
    }
    node.values = std::move(values);
    return node.values;
}

void BrownianTree::increment(double from, double to, std::span<float> out) {
    std::fill(out.begin(), out.end(), 0.0f);
    const double sign = from < to ? 1 : -1, length = std::fabs(to - from);
    const double begin = rounded(std::clamp(std::min(from, to), root_->start, root_->end));
    const double end = rounded(std::clamp(std::max(from, to), root_->start, root_->end));
    if (!(begin < end)) return;
    std::vector<Node*> found;
    collect(*root_, begin, end, found);
    for (Node* node : found) {
        const std::vector<float>& values = value(*node);
        for (std::size_t i = 0; i < out.size(); ++i) out[i] += values[i];
    }
    const auto scale = static_cast<float>(sign) / static_cast<float>(std::sqrt(length));
    for (float& v : out) v *= scale;
}

}  // namespace pumice
