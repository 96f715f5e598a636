// Pictures of 8 bits on their way in: resized, blurred, filled, cropped and laid back, by AUTOMATIC1111's conventions
// (modules/images.py and masking.py there). On the host, in integers or in double and in order: the same everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// Rows from the top, `channels` bytes a pixel, no padding.
struct Pixels {
    std::uint32_t width = 0, height = 0, channels = 3;
    std::vector<std::uint8_t> bytes;

    bool empty() const { return bytes.empty(); }
    const std::uint8_t* at(std::uint32_t x, std::uint32_t y) const {
        return bytes.data() + (std::size_t(y) * width + x) * channels;
    }
    std::uint8_t* at(std::uint32_t x, std::uint32_t y) {
        return bytes.data() + (std::size_t(y) * width + x) * channels;
    }
};

Pixels make_pixels(std::uint32_t width, std::uint32_t height, std::uint32_t channels);

struct Region {
    std::uint32_t x = 0, y = 0, width = 0, height = 0;
};

enum class ResizeFilter : std::uint8_t {
    bicubic,  ///< a = -0.5
    lanczos,  ///< of three lobes
};

/// Separable, with the filter widened where the picture shrinks; coefficients of 22 bits, rounded between the passes, as
/// Pillow does.
Pixels resample(const Pixels&, std::uint32_t width, std::uint32_t height, ResizeFilter);

enum class ResizeMode : std::uint8_t {
    stretch,  ///< to the size, whatever becomes of its shape
    crop,     ///< keeps its shape and covers the size; what is over is cut off, half on either side
    fill,     ///< keeps its shape and fits within the size; its edges are drawn out over what is left
};
Pixels resize(const Pixels&, std::uint32_t width, std::uint32_t height, ResizeMode);

Pixels crop(const Pixels&, const Region&);

/// Pixels added at the edges.
struct Margins {
    std::uint32_t left = 0, top = 0, right = 0, bottom = 0;
    bool any() const { return (left | top | right | bottom) != 0; }
};
/// The picture with its outermost pixels drawn out over the margins.
Pixels extend(const Pixels&, const Margins&);

/// Luma of BT.601, as Pillow converts to "L".
Pixels to_gray(const Pixels& rgb);

/// Gaussian of this deviation in pixels, over 2 * floor(2.5 * sigma + 0.5) + 1 of them; mirrored at the edges.
Pixels gaussian_blur(const Pixels&, double sigma);

/// The colours around the mask spread into it, from far to near: the picture is kept where the mask is 0.
Pixels fill_masked(const Pixels& rgb, const Pixels& mask);

/// The rectangle around what is not 0, with `padding` pixels around it, widened to the shape of width x height as far as
/// the mask reaches. The whole mask if all of it is 0.
Region masked_region(const Pixels& mask, std::uint32_t padding, std::uint32_t width, std::uint32_t height);

/// `over` on `under` by `alpha` (of one channel): under + (over - under) * alpha / 255.
Pixels lay_over(const Pixels& under, const Pixels& over, const Pixels& alpha);

}  // namespace pumice
