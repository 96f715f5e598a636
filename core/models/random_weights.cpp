#include "models/random_weights.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/half.hpp"

namespace pumice {
namespace {

constexpr std::size_t kTable = 65536;
constexpr double kBranchGain = 0.3, kOutputGain = 0.5;

/// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
std::uint64_t split_mix(std::uint64_t& state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/// Marsaglia, "Xorshift RNGs" (2003); the state is not zero.
std::uint64_t xorshift(std::uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/// Standard normal to within 1%, as the sum of twelve uniform numbers (which no logarithm can make differ between
/// machines): of 65,536 values, so that drawing one is a lookup.
const std::array<double, kTable>& normal_table() {
    static const auto table = [] {
        std::array<double, kTable> t{};
        std::uint64_t state = 1;
        for (double& value : t) {
            double sum = -6;
            for (int i = 0; i < 6; ++i) {
                const std::uint64_t bits = split_mix(state);
                sum += double(bits >> 32) / 4294967296.0 + double(bits & 0xffffffffu) / 4294967296.0;
            }
            value = sum;
        }
        return t;
    }();
    return table;
}

std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

double gain(std::string_view name) {
    for (const char* end : {".out_layers.3.weight", ".proj_out.weight", ".to_out.0.weight", ".ff.net.2.weight",
                            ".conv2.weight", ".mlp.fc2.weight", ".mlp.c_proj.weight",
                            ".out_proj.weight"})
        if (name.ends_with(end)) return kBranchGain;
    for (const char* end : {"model.out.2.weight", "decoder.conv_out.weight"})
        if (name.ends_with(end)) return kOutputGain;
    return 1;
}

}  // namespace

Distribution distribution(const TensorSpec& t) {
    if (t.name.ends_with("bias")) return {0, 0.02};
    if (t.use == WeightUse::vector) return {1, 0.05};
    if (t.use == WeightUse::table) return {0, 0.05};
    double fan_in = 1;
    for (std::size_t i = 1; i < t.shape.size(); ++i) fan_in *= static_cast<double>(t.shape[i]);
    return {0, gain(t.name) / std::sqrt(fan_in)};
}

RandomElements::RandomElements(std::uint64_t seed, const TensorSpec& t, DType dtype) : dtype_(dtype), values_(kTable) {
    std::uint64_t mix = seed ^ fnv1a(t.name);
    state_ = split_mix(mix) | 1;
    const Distribution d = distribution(t);
    for (std::size_t i = 0; i < kTable; ++i) {
        const auto value = static_cast<float>(d.mean + d.deviation * normal_table()[i]);
        if (dtype == DType::f16)
            values_[i] = f32_to_f16(value);
        else if (dtype == DType::bf16)
            values_[i] = f32_to_bf16(value);
        else
            values_[i] = std::bit_cast<std::uint32_t>(value);
    }
}

void RandomElements::next(std::span<std::byte> to) {
    const std::size_t size = size_of(dtype_);
    for (std::size_t at = 0; at < to.size();) {
        // Four elements a number drawn: 16 bits choose each.
        std::uint64_t bits = xorshift(state_);
        for (int i = 0; i < 4 && at < to.size(); ++i, bits >>= 16, at += size) {
            const std::uint32_t value = values_[bits & 0xffff];
            if (size == 2) {
                const auto half = static_cast<std::uint16_t>(value);
                std::memcpy(&to[at], &half, 2);
            } else {
                std::memcpy(&to[at], &value, 4);
            }
        }
    }
}

}  // namespace pumice
