#include "diffusion/tensor_math.hpp"

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

}  // namespace pumice
