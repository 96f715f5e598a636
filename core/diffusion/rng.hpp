// Noise that others can repeat: the same seed gives the numbers that PyTorch's CPU generator, or its CUDA generator as
// AUTOMATIC1111's "NV" option emulates it, gives. Drawn on the host with exact_math, so that every device and driver
// starts from the same bits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pumice {

enum class RngKind : std::uint8_t {
    torch_cpu,  ///< torch.Generator("cpu"): MT19937, the low 32 bits of the seed
    philox,     ///< torch.Generator("cuda"): Philox 4x32-10, all 64 bits of the seed
};

/// Mersenne Twister (Matsumoto and Nishimura 1998), MT19937.
class Mt19937 {
public:
    explicit Mt19937(std::uint32_t seed);
    std::uint32_t next();

private:
    void twist();
    std::array<std::uint32_t, 624> state_;
    std::size_t position_ = 624;
};

/// One generator, as a picture has. Draws follow each other: a draw depends on the number and (torch_cpu) sizes of
/// those before it.
class NoiseSource {
public:
    NoiseSource(RngKind kind, std::uint64_t seed);

    /// Standard normal numbers as randn gives for a tensor of this many elements (latents: NCHW order).
    void normal(std::span<float> out);
    /// As torch.rand in float32 gives: [0, 1) in steps of 2^-24. torch_cpu only.
    void uniform(std::span<float> out);

private:
    void torch_normal(std::span<float> out);
    void philox_normal(std::span<float> out);
    double uniform_double();

    RngKind kind_;
    std::uint64_t seed_;
    Mt19937 twister_;               ///< torch_cpu
    std::optional<double> second_;  ///< torch_cpu: the sine half of a Box-Muller pair not used yet
    std::uint32_t draws_ = 0;       ///< philox: draws made, whatever their size
};

struct NoiseOptions {
    RngKind kind = RngKind::torch_cpu;
    std::uint64_t seed = 0;  ///< picture i has seed + i …
    bool one_seed = false;   ///< … or all have it
    std::uint64_t seed_of(std::size_t picture) const { return one_seed ? seed : seed + picture; }
    /// Added to the seeds of all draws but the first (A1111's "eta noise seed delta", often 31337); 0: the generators
    /// of the first draw go on.
    std::uint64_t eta_seed_delta = 0;
    /// Variation seed: the first draw is spherically interpolated towards that of `variation_seed` + i.
    std::uint64_t variation_seed = 0;
    float variation_strength = 0;  ///< 0…1; 0: none
    /// Rows and columns of another size whose picture the first draw is to resemble: what that size would have drawn lies
    /// in the middle (A1111's "resize seed from"). 0: this size.
    std::uint32_t resized_rows = 0, resized_columns = 0;
};

/// The generators of a batch (A1111's ImageRNG): pictures of a batch are what they would be alone.
class BatchNoise {
public:
    explicit BatchNoise(const NoiseOptions& options, std::uint32_t batch);

    /// One draw of `channels` x `rows` x `columns` numbers a picture, one picture after the other: {batch, c, h, w}.
    void normal(std::span<float> out_nchw, std::uint32_t channels, std::uint32_t rows, std::uint32_t columns);

private:
    void first_draw(std::size_t picture, std::span<float> out, std::uint32_t channels, std::uint32_t rows,
                    std::uint32_t columns);
    NoiseOptions options_;
    std::vector<NoiseSource> sources_;
    bool first_ = true;
};

}  // namespace pumice
