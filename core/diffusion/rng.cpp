#include "diffusion/rng.hpp"

#include <cmath>

#include "base/exact_math.hpp"

namespace pumice {
namespace {

constexpr double kTwoPi = 0x1.921fb54442d18p+2;

// torch draws tensors of fewer elements one by one in double, larger ones in blocks of this many floats.
constexpr std::size_t kBlock = 16;

/// Box-Muller (1958) over a block of uniform numbers, in place: the first half gives radii, the second angles. torch
/// computes in float; the products that it rounds to float are rounded here too, the functions are taken in double.
void box_muller_block(float* block) {
    for (std::size_t i = 0; i < kBlock / 2; ++i) {
        const float u1 = 1.0f - block[i];  // (0, 1]: exact
        const float angle = static_cast<float>(kTwoPi) * block[i + kBlock / 2];
        const double radius = std::sqrt(-2.0 * exact::log(static_cast<double>(u1)));
        block[i] = static_cast<float>(radius * exact::cos(static_cast<double>(angle)));
        block[i + kBlock / 2] = static_cast<float>(radius * exact::sin(static_cast<double>(angle)));
    }
}

/// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t seed) {
    std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(a)};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

/// CUDA's curand_normal: word / 2^32, moved half a step off zero. Its two constants are floats.
float philox_box_muller(std::uint32_t x, std::uint32_t y) {
    constexpr double kStep = 2.3283064e-10f, kAngleStep = static_cast<float>(2.3283064e-10 * 6.2831855);
    const double u = x * kStep + kStep / 2;
    const double v = y * kAngleStep + kAngleStep / 2;
    return static_cast<float>(std::sqrt(-2.0 * exact::log(u)) * exact::sin(v));
}

double length_squared(std::span<const float> values, std::size_t stride, std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += double(values[i * stride]) * double(values[i * stride]);
    return sum;
}

/// Spherical interpolation as A1111 does it on a {c, h, w} tensor: along the rows' axis, one angle a channel and
/// column; straight when the vectors of all of them are nearly parallel on average.
void slerp(std::span<float> low, std::span<const float> high, double t, std::size_t rows, std::size_t columns) {
    const std::size_t plane = rows * columns, lines = low.size() / rows;
    std::vector<double> cosines(lines);
    double mean = 0;
    for (std::size_t line = 0; line < lines; ++line) {
        const std::size_t start = line / columns * plane + line % columns;
        double dot = 0;
        for (std::size_t r = 0; r < rows; ++r)
            dot += double(low[start + r * columns]) * double(high[start + r * columns]);
        const double squares =
            length_squared(low.subspan(start), columns, rows) * length_squared(high.subspan(start), columns, rows);
        cosines[line] = dot / std::sqrt(squares);
        mean += cosines[line] / static_cast<double>(lines);
    }
    for (std::size_t line = 0; line < lines; ++line) {
        const double angle = exact::acos(std::fmax(-1.0, std::fmin(1.0, cosines[line])));
        double of_low = t, of_high = 1 - t;  // A1111's straight case weights them the other way round
        if (!(mean > 0.9995)) {
            const double sine = exact::sin(angle);
            of_low = exact::sin((1 - t) * angle) / sine;
            of_high = exact::sin(t * angle) / sine;
        }
        const std::size_t start = line / columns * plane + line % columns;
        for (std::size_t at = start; at < start + plane; at += columns)
            low[at] = static_cast<float>(of_low * double(low[at]) + of_high * double(high[at]));
    }
}

std::vector<NoiseSource> sources(const NoiseOptions& options, std::uint64_t delta, std::size_t batch) {
    std::vector<NoiseSource> all;
    all.reserve(batch);
    for (std::size_t i = 0; i < batch; ++i) all.emplace_back(options.kind, options.seed_of(i) + delta);
    return all;
}

}  // namespace

Mt19937::Mt19937(std::uint32_t seed) {
    state_[0] = seed;
    for (std::uint32_t i = 1; i < state_.size(); ++i)
        state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

void Mt19937::twist() {
    constexpr std::size_t kSize = 624, kShift = 397;
    for (std::size_t i = 0; i < kSize; ++i) {
        const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7FFFFFFFu);
        state_[i] = state_[(i + kShift) % kSize] ^ (y >> 1) ^ (y & 1 ? 0x9908B0DFu : 0u);
    }
    position_ = 0;
}

std::uint32_t Mt19937::next() {
    if (position_ == state_.size()) twist();
    std::uint32_t y = state_[position_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    return y ^ (y >> 18);
}

NoiseSource::NoiseSource(RngKind kind, std::uint64_t seed)
    : kind_(kind), seed_(seed), twister_(static_cast<std::uint32_t>(seed)) {}

void NoiseSource::normal(std::span<float> out) {
    if (kind_ == RngKind::torch_cpu)
        torch_normal(out);
    else
        philox_normal(out);
}

void NoiseSource::uniform(std::span<float> out) {
    for (float& value : out) value = static_cast<float>(twister_.next() & 0xFFFFFFu) * 0x1p-24f;
}

double NoiseSource::uniform_double() {
    const std::uint64_t upper = twister_.next();
    const std::uint64_t word = (upper << 32) | twister_.next();
    return static_cast<double>(word & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void NoiseSource::torch_normal(std::span<float> out) {
    if (out.size() < kBlock) {
        for (float& value : out) {
            if (second_) {
                value = static_cast<float>(*second_);
                second_.reset();
                continue;
            }
            const double u1 = uniform_double(), u2 = uniform_double();
            const double radius = std::sqrt(-2.0 * exact::log(1.0 - u2));
            value = static_cast<float>(radius * exact::cos(kTwoPi * u1));
            second_ = radius * exact::sin(kTwoPi * u1);
        }
        return;
    }
    uniform(out);
    for (std::size_t i = 0; i + kBlock <= out.size(); i += kBlock) box_muller_block(&out[i]);
    if (out.size() % kBlock != 0) {  // what does not fill a block is drawn again with its neighbours
        const std::span<float> last = out.last(kBlock);
        uniform(last);
        box_muller_block(last.data());
    }
}

void NoiseSource::philox_normal(std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto words = philox({draws_, 0, static_cast<std::uint32_t>(i), 0}, seed_);
        out[i] = philox_box_muller(words[0], words[1]);
    }
    ++draws_;
}

BatchNoise::BatchNoise(const NoiseOptions& options, std::uint32_t batch)
    : options_(options), sources_(sources(options, 0, batch)) {}

void BatchNoise::first_draw(std::size_t picture, std::span<float> out, std::uint32_t channels, std::uint32_t rows,
                            std::uint32_t columns) {
    const std::uint32_t from_rows = options_.resized_rows ? options_.resized_rows : rows;
    const std::uint32_t from_columns = options_.resized_columns ? options_.resized_columns : columns;
    const bool resized = from_rows != rows || from_columns != columns;
    sources_[picture].normal(out);
    std::vector<float> other;  // what the other size draws, of generators of its own
    if (resized) {
        other.resize(std::size_t{channels} * from_rows * from_columns);
        NoiseSource(options_.kind, options_.seed_of(picture)).normal(other);
    }
    const std::span<float> drawn = resized ? std::span<float>(other) : out;
    if (options_.variation_strength != 0) {
        std::vector<float> variation(drawn.size());
        NoiseSource(options_.kind, options_.variation_seed + picture).normal(variation);
        slerp(drawn, variation, double(options_.variation_strength), from_rows, from_columns);
    }
    if (!resized) return;
    // Middle upon middle; what is too large loses its rim.
    const auto place = [](std::uint32_t size, std::uint32_t from) {
        const std::uint32_t to = size > from ? (size - from) / 2 : 0, start = from > size ? (from - size + 1) / 2 : 0;
        // As the reference, whose division rounds down: it cuts that much at both ends.
        return std::array<std::uint32_t, 3>{to, start, from > size ? from - 2 * start : from};
    };
    const auto [to_row, from_row, row_count] = place(rows, from_rows);
    const auto [to_column, from_column, column_count] = place(columns, from_columns);
    for (std::uint32_t c = 0; c < channels; ++c)
        for (std::uint32_t y = 0; y < row_count; ++y)
            for (std::uint32_t x = 0; x < column_count; ++x)
                out[(std::size_t{c} * rows + to_row + y) * columns + to_column + x] =
                    other[(std::size_t{c} * from_rows + from_row + y) * from_columns + from_column + x];
}

void BatchNoise::normal(std::span<float> out_nchw, std::uint32_t channels, std::uint32_t rows, std::uint32_t columns) {
    const std::size_t count = std::size_t{channels} * rows * columns;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        const std::span<float> picture = out_nchw.subspan(i * count, count);
        if (first_)
            first_draw(i, picture, channels, rows, columns);
        else
            sources_[i].normal(picture);
    }
    if (first_ && options_.eta_seed_delta != 0)
        sources_ = sources(options_, options_.eta_seed_delta, sources_.size());
    first_ = false;
}

}  // namespace pumice
