// Whether what was measured is right: numbers over results, no device.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/precision.hpp"

namespace pumice::bench {

/// Decibels between two pictures of 8-bit values; infinite when they are equal.
double psnr(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

/// Root mean square of the difference over that of the reference; infinite when one is not finite or sizes differ.
double relative_error(std::span<const float> got, std::span<const float> reference);

std::uint64_t count_not_finite(std::span<const float> values);

/// What a result must keep to.
struct Limits {
    double psnr = 0;         ///< dB, at least
    double stage_error = 0;  ///< relative, at most
};
/// fp16 rounds each activation to 11 bits, which a UNet's some hundred layers and a few steps carry on; fp32's fast forms
/// differ from the exact ones in the order of sums alone; exact must be equal.
Limits limits(Precision);

/// What was found of one profile.
struct Quality {
    bool repeats_equal = true;
    std::uint64_t not_finite = 0;                 ///< elements that are NaN or infinite
    std::map<std::string, double> stage_errors;   ///< "text", "unet", "vae"
    std::optional<double> psnr;                   ///< against the reference's picture; none: the profile makes no picture
    Limits limits;

    /// What is wrong, a line each; empty: the result is valid.
    std::vector<std::string> failed() const;
};

}  // namespace pumice::bench
