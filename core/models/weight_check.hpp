// Whether a model file is sound: every number a number, and every tensor there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "weights/output_model.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

struct WeightCheck {
    struct NotFinite {
        std::string tensor;
        std::uint64_t nans = 0, infinities = 0, elements = 0;
    };
    std::vector<NotFinite> not_finite;
    /// What the file lacks of its family's tensors, or has in another shape: one line; empty when it is complete, or of
    /// a family whose geometry is not known here.
    std::string incomplete;
};

/// Reads every tensor once. `on_read` is told of bytes as they are read, and ends the check where it fails.
Result<WeightCheck> check_weights(const WeightFile&, const OnWritten& on_read);

}  // namespace pumice
