// PNG with a text that says how the picture was made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pumice/pumice.hpp"

namespace pumice::host {

struct PngImage {
    std::uint32_t width = 0, height = 0;  ///< pixels
    std::span<const std::uint8_t> rgb;    ///< 3 bytes a pixel, row by row from the top
    std::string parameters;               ///< UTF-8, kept under the keyword "parameters"; empty: none
};

/// 8 bits a channel. The text is a tEXt chunk where Latin-1 can hold it, else iTXt, as Pillow and so AUTOMATIC1111
/// write it.
Expected<std::vector<std::uint8_t>> encode_png(const PngImage&);

}  // namespace pumice::host
