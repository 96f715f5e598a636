// The little arithmetic on latents that samplers are made of. Samplers see handles, never memory: the numbers stay
// where the implementation keeps them (gpu_tensor_math.hpp: on the device).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace pumice {

class TensorMath;

/// A tensor of the latents' shape, owned: its place is given back when the handle goes. Must not outlive its
/// TensorMath.
class Latent {
public:
    Latent() = default;
    Latent(TensorMath& math, std::uint32_t slot) : math_(&math), slot_(slot) {}
    ~Latent() { reset(); }
    Latent(Latent&& other) noexcept : math_(std::exchange(other.math_, nullptr)), slot_(other.slot_) {}
    Latent& operator=(Latent&& other) noexcept {
        if (this != &other) {
            reset();
            math_ = std::exchange(other.math_, nullptr);
            slot_ = other.slot_;
        }
        return *this;
    }

    explicit operator bool() const { return math_ != nullptr; }
    /// Which place of its TensorMath it holds. Two handles never hold the same.
    std::uint32_t slot() const { return slot_; }
    const TensorMath* math() const { return math_; }

private:
    void reset() noexcept;
    TensorMath* math_ = nullptr;
    std::uint32_t slot_ = 0;
};

/// weight * latent; the weight is rounded to float.
struct LatentTerm {
    double weight;
    const Latent& latent;
};

/// Measures of one picture's latent.
struct LatentNorms {
    double sum = 0;      ///< of the elements
    double squares = 0;  ///< of their squares
    double largest = 0;  ///< of their absolute values
};

/// What happens to a channel of a picture: * scale + offset, kept between low and high. Rounded to float.
struct ChannelAffine {
    double scale = 1, offset = 0;
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

/// How the elements of a channel of a picture are spread.
struct ChannelSpread {
    double mean = 0;
    double deviation = 0;  ///< standard deviation, over count - 1
    double largest = 0;    ///< of |element - mean|
    double quantile = 0;   ///< of |element - mean|, linear between neighbours
};

/// All latents of one TensorMath have the same shape. Not thread-safe. Operations return when their arguments may be
/// reused, in the order of the calls.
class TensorMath {
public:
    static constexpr std::size_t kMaxTerms = 8;

    virtual ~TensorMath() = default;

    /// A new latent, its contents undefined.
    virtual Result<Latent> create_latent() = 0;
    /// out = sum of weight * latent, added in the order given, in float32; 1 to kMaxTerms terms; `out` may be one of
    /// them. Code::invalid_argument for another number of terms or a latent that is not of this TensorMath.
    virtual Status linear_combination(const Latent& out, std::span<const LatentTerm> terms) = 0;
    /// The next draw of standard normal numbers from the pictures' generators. `out` is overwritten.
    virtual Status noise(const Latent& out) = 0;
    /// The increment of each picture's Brownian path from noise level `from` to `to`, scaled to unit variance; the path
    /// lies over [lowest, highest] (brownian.hpp).
    virtual Status brownian(const Latent& out, double lowest, double highest, double from, double to) = 0;

    /// {n, c, h, w}.
    virtual std::array<std::uint32_t, 4> nchw() const = 0;
    /// One a picture.
    virtual Result<std::vector<LatentNorms>> norms(const Latent&) = 0;
    /// out = x with each picture's channels scaled, moved and clamped: one entry a picture and channel, those of a picture
    /// together. `out` may be x. Code::invalid_argument for another number of entries, NaN, or low above high.
    virtual Status affine(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) = 0;
    /// One a picture and channel, in the same order. Reads the latent back; sums are in double and in order. q is 0 to 1.
    Result<std::vector<ChannelSpread>> spreads(const Latent&, double q);
    /// {n, c, h, w} from the host and back. Code::invalid_argument for another number of elements.
    virtual Status upload(const Latent& out, std::span<const float> nchw) = 0;
    virtual Result<std::vector<float>> download(const Latent&) = 0;

    Status combine(const Latent& out, std::initializer_list<LatentTerm> terms) {
        return linear_combination(out, std::span(terms.begin(), terms.size()));
    }

protected:
    /// The checks that every linear_combination begins with.
    Status check(const Latent& out, std::span<const LatentTerm> terms) const;
    /// Those of every affine.
    Status check(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) const;

private:
    friend class Latent;
    virtual void release(std::uint32_t slot) noexcept = 0;
};

}  // namespace pumice
