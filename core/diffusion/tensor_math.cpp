#include "diffusion/tensor_math.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace pumice {

void Latent::reset() noexcept {
    if (math_) math_->release(slot_);
    math_ = nullptr;
}

Status TensorMath::check(const Latent& out, std::span<const LatentTerm> terms) const {
    if (terms.empty() || terms.size() > kMaxTerms)
        return Error{Code::invalid_argument,
                     fmt::format("a linear combination of {} terms, must be 1 to {}", terms.size(), kMaxTerms)};
    if (out.math() != this) return Error{Code::invalid_argument, "a linear combination into a foreign latent"};
    for (const LatentTerm& term : terms) {
        if (term.latent.math() != this)
            return Error{Code::invalid_argument, "a linear combination of a foreign latent"};
        if (!std::isfinite(term.weight))
            return Error{Code::invalid_argument, fmt::format("a linear combination with weight {}", term.weight)};
    }
    return {};
}

Status TensorMath::check(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) const {
    if (out.math() != this || x.math() != this) return Error{Code::invalid_argument, "affine of a foreign latent"};
    const auto [n, c, h, w] = nchw();
    if (each.size() != std::size_t{n} * c)
        return Error{Code::invalid_argument, fmt::format("affine with {} entries for {} pictures of {} channels",
                                                         each.size(), n, c)};
    for (const ChannelAffine& a : each)
        if (!std::isfinite(a.scale) || !std::isfinite(a.offset) || !(a.low <= a.high))
            return Error{Code::invalid_argument, fmt::format("affine with scale {}, offset {}, between {} and {}",
                                                             a.scale, a.offset, a.low, a.high)};
    return {};
}

Result<std::vector<ChannelSpread>> TensorMath::spreads(const Latent& latent, double q) {
    if (!(q >= 0 && q <= 1)) return Error{Code::invalid_argument, fmt::format("a quantile of {}, must be 0 to 1", q)};
    PUMICE_ASSIGN(std::vector<float> values, download(latent));
    const auto [n, c, h, w] = nchw();
    const std::size_t count = std::size_t{h} * w;
    std::vector<ChannelSpread> all(std::size_t{n} * c);
    std::vector<double> distances(count);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::span channel = std::span(values).subspan(i * count, count);
        double sum = 0, squares = 0;
        for (const float v : channel) sum += double(v);
        all[i].mean = sum / static_cast<double>(count);
        for (std::size_t k = 0; k < count; ++k) {
            const double from_mean = double(channel[k]) - all[i].mean;
            squares += from_mean * from_mean;
            distances[k] = std::fabs(from_mean);
        }
        std::sort(distances.begin(), distances.end());
        all[i].deviation = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0;
        all[i].largest = distances.back();
        const double at = q * static_cast<double>(count - 1);
        const auto below = static_cast<std::size_t>(at);
        const double above = distances[std::min(below + 1, count - 1)];
        all[i].quantile = distances[below] + (at - static_cast<double>(below)) * (above - distances[below]);
    }
    return all;
}

}  // namespace pumice
