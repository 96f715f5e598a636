#include "adapters/host_merge.hpp"

#include <algorithm>
#include <bit>

namespace pumice {
namespace {

using Kind = ops::MergeChange::Kind;
using Magnitudes = ops::MergeChange::Magnitudes;

// exact_recip, exact_div and exact_sqrt of shaders/include/exact.glsl, which has their errors: DoRA's ratios come from
// them on the device.
float device_recip(float x) {
    const std::uint32_t sign = std::bit_cast<std::uint32_t>(x) & 0x80000000u;
    const float a = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
    float y = std::bit_cast<float>(0x7ef311c7u - std::bit_cast<std::uint32_t>(a));
    for (int i = 0; i < 3; ++i) y = y * (2.0f - a * y);
    y = y + y * (1.0f - a * y);
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(y) | sign);
}
float device_sqrt(float x) {
    float y = std::bit_cast<float>(0x5f3759dfu - (std::bit_cast<std::uint32_t>(x) >> 1));
    for (int i = 0; i < 3; ++i) y = y * (1.5f - 0.5f * ((x * y) * y));
    y = y + y * (0.5f - 0.5f * ((x * y) * y));
    const float s = x * y;
    return s + 0.5f * y * (x - s * s);
}

/// One change, row by row. -ffp-contract=off keeps every multiply and add apart, as `precise` does on the device.
class HostMerge {
public:
    HostMerge(std::vector<float>& w, std::uint64_t m, const AdapterPatch& patch)
        : w_(w), m_(m), c_(patch.change), f_(patch.factors), changed_(m), left_(m), right_(m) {}

    void run() {
        if (c_.magnitudes == Magnitudes::channels) measure_channels();
        for (std::uint64_t row = 0; row < c_.rows; ++row) {
            float* const w = row_of(row);
            change(row);
            if (c_.magnitudes == Magnitudes::rows) {
                const float ratio = ratio_of(length_of(w), row);
                turn(w, [&](std::uint64_t) { return ratio; });
            } else if (c_.magnitudes == Magnitudes::channels) {
                turn(w, [&](std::uint64_t column) { return ratios_[column / c_.taps]; });
            } else {
                std::copy(changed_.begin(), changed_.end(), w);
            }
        }
    }

private:
    float* row_of(std::uint64_t row) { return w_.data() + (c_.row0 + row) * m_; }
    const float* factors(std::uint64_t at) const { return f_.data() + at; }

    /// Row `row` of a {rows, rank} times b {rank, m}; the terms of each element in the order of the rank.
    void product(std::uint32_t a, std::uint32_t b, std::uint32_t rank, std::uint64_t row,
                 std::vector<float>& to) const {
        std::fill(to.begin(), to.end(), 0.0f);
        for (std::uint32_t i = 0; i < rank; ++i) {
            const float left = *factors(a + row * rank + i);
            const float* const right = factors(b + i * m_);
            for (std::uint64_t column = 0; column < m_; ++column) to[column] += left * right[column];
        }
    }
    void delta(std::uint64_t row, const float* w) {
        switch (c_.kind) {
            case Kind::low_rank:
                return product(c_.a, c_.b, c_.rank, row, left_);
            case Kind::hadamard:
                product(c_.a, c_.b, c_.rank, row, left_);
                product(c_.c, c_.d, c_.rank2, row, right_);
                for (std::uint64_t i = 0; i < m_; ++i) left_[i] *= right_[i];
                return;
            case Kind::kronecker:
                for (std::uint64_t i = 0; i < m_; ++i) {
                    const std::uint64_t channel = i / c_.taps, tap = i % c_.taps;
                    const float a = *factors(c_.a + row / c_.b_rows * c_.rank + channel / c_.rank2);
                    left_[i] = a * *factors(c_.b + (row % c_.b_rows * c_.rank2 + channel % c_.rank2) * c_.taps + tap);
                }
                return;
            case Kind::difference:
                std::copy_n(factors(c_.a + row * m_), m_, left_.begin());
                return;
            case Kind::rows:
                for (std::uint64_t i = 0; i < m_; ++i) left_[i] = w[i] * *factors(c_.a + row);
                return;
            case Kind::columns:
                for (std::uint64_t i = 0; i < m_; ++i) left_[i] = w[i] * *factors(c_.a + i / c_.taps);
                return;
        }
    }
    /// The row with factor * delta added, in changed_.
    void change(std::uint64_t row) {
        const float* const w = row_of(row);
        delta(row, w);
        for (std::uint64_t i = 0; i < m_; ++i) {
            const float scaled = c_.factor * left_[i];
            changed_[i] = w[i] + scaled;
        }
    }
    float ratio_of(float length, std::uint64_t i) const { return *factors(c_.magnitude + i) * device_recip(length); }
    static float with_distance(float squares) {
        constexpr float kDistance = 1.1920929e-07f;  // of 1 to the next float, as the reference adds it
        return device_sqrt(squares) + kDistance;
    }
    float length_of(const float* w) const {
        float squares = 0;
        for (std::uint64_t i = 0; i < m_; ++i) squares += w[i] * w[i];
        return with_distance(squares);
    }
    /// Row after row, each channel's taps in order: the order in which the device sums them.
    void measure_channels() {
        std::vector<float> squares(m_ / c_.taps, 0.0f);
        for (std::uint64_t row = 0; row < c_.rows; ++row) {
            change(row);
            for (std::uint64_t i = 0; i < m_; ++i) squares[i / c_.taps] += changed_[i] * changed_[i];
        }
        ratios_.resize(squares.size());
        for (std::size_t i = 0; i < squares.size(); ++i) ratios_[i] = ratio_of(with_distance(squares[i]), i);
    }
    template <class Ratio>
    void turn(float* w, Ratio&& ratio) const {
        for (std::uint64_t i = 0; i < m_; ++i) {
            const float turned = changed_[i] * ratio(i);
            const float change = turned - w[i];
            const float scaled = c_.strength * change;
            w[i] = w[i] + scaled;
        }
    }

    std::vector<float>& w_;
    std::uint64_t m_;
    const ops::MergeChange& c_;
    const std::vector<float>& f_;
    std::vector<float> changed_, left_, right_, ratios_{};
};

}  // namespace

void merge_weight_on_host(std::vector<float>& weight, std::uint64_t columns, const AdapterPatch& patch) {
    HostMerge(weight, columns, patch).run();
}

}  // namespace pumice
