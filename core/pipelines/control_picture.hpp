// A control picture in the size of the picture that is made, as the web UI's ControlNet extension fits it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace pumice {

enum class FitMode : std::uint8_t {
    stretch,  ///< to the new size, whatever the sides' ratio
    crop,     ///< as small as covers it, the middle of that
    fill,     ///< as large as fits into it, in the middle; around it the median of the picture's border
};

/// {1, height, width, 4} from 0 to 1, the fourth channel 0. rgb: 3 bytes a pixel, row by row. Made smaller by the mean
/// of what a pixel covers, larger by Catmull-Rom splines; a picture of nothing but 0 and 255 (edges, masks) stays so.
/// Exact: the same numbers everywhere. Code::invalid_argument for sizes that are none.
Result<std::vector<float>> fit_control_picture(std::span<const std::uint8_t> rgb, std::uint32_t in_width,
                                               std::uint32_t in_height, std::uint32_t width, std::uint32_t height,
                                               FitMode mode);

}  // namespace pumice
