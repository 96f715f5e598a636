#include "diffusion/sampler.hpp"

#include <cmath>

#include <fmt/format.h>

namespace pumice {

Status check_sigmas(std::span<const float> sigmas) {
    if (sigmas.size() < 2) return Error{Code::invalid_argument, "a sampler needs at least two sigmas"};
    for (std::size_t i = 0; i < sigmas.size(); ++i) {
        const bool last = i + 1 == sigmas.size();
        if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || (sigmas[i] == 0 && !last) ||
            (!last && sigmas[i + 1] > sigmas[i]))
            return Error{
                Code::invalid_argument,
                fmt::format("sigma {} is {}: sigmas must be positive and fall, only the last may be 0", i, sigmas[i])};
    }
    return {};
}

}  // namespace pumice
