#include "pipelines/source_picture.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace pumice {
namespace {

constexpr std::uint32_t kLargest = 32768;
constexpr std::uint8_t kGray = 127;

Status check(const PictureInput& in) {
    const auto wrong = [](const std::string& text) { return Error{Code::invalid_argument, text}; };
    const auto whole = [](const Pixels& p, std::uint32_t channels) {
        return p.channels == channels && p.width > 0 && p.height > 0 && p.width <= kLargest && p.height <= kLargest &&
               p.bytes.size() == std::size_t(p.width) * p.height * channels;
    };
    if (!whole(in.image, 3)) return wrong(fmt::format("the picture to begin with is not 1 to {} pixels a side", kLargest));
    if (!in.mask.empty() && !whole(in.mask, 1)) return wrong("the mask is damaged");
    if (!(in.strength >= 0 && in.strength <= 1)) return wrong(fmt::format("strength {}: use 0 to 1", in.strength));
    if (!(in.mask_blur >= 0 && in.mask_blur <= 64)) return wrong(fmt::format("mask blur {}: use 0 to 64", in.mask_blur));
    const Margins& m = in.margins;
    if (std::max({m.left, m.top, m.right, m.bottom}) > kLargest ||
        std::max(in.image.width + m.left + m.right, in.image.height + m.top + m.bottom) > kLargest)
        return wrong(fmt::format("a picture of {}x{} with its margins is larger than {}", in.image.width, in.image.height,
                                 kLargest));
    if (in.padding > 4096) return wrong(fmt::format("mask padding {}: use 0 to 4096", in.padding));
    if (!(in.image_scale >= 0 && in.image_scale <= 100))
        return wrong(fmt::format("image guidance scale {}: use 0 to 100", in.image_scale));
    return {};
}

/// The mask of a picture with margins: they are painted, and the seam beside them, as wide as the blur reaches.
Pixels extended_mask(const PictureInput& in) {
    Pixels mask = in.mask.empty() ? make_pixels(in.image.width, in.image.height, 1) : in.mask;
    mask = extend(mask, in.margins);
    const Margins& m = in.margins;
    const auto seam = static_cast<std::uint32_t>(std::ceil(2 * in.mask_blur));
    const auto painted = [&](std::uint32_t at, std::uint32_t size, std::uint32_t before, std::uint32_t after) {
        return (before > 0 && at < before + seam) || (after > 0 && at + after + seam >= size);
    };
    for (std::uint32_t y = 0; y < mask.height; ++y)
        for (std::uint32_t x = 0; x < mask.width; ++x)
            if (painted(x, mask.width, m.left, m.right) || painted(y, mask.height, m.top, m.bottom)) *mask.at(x, y) = 255;
    return mask;
}

}  // namespace

Result<SourcePicture> SourcePicture::prepare(const PictureInput& given, std::uint32_t width, std::uint32_t height) {
    PUMICE_TRY(check(given));
    PictureInput in = given;
    if (in.margins.any()) {
        if (!in.mask.empty() && (in.mask.width != in.image.width || in.mask.height != in.image.height))
            in.mask = resample(in.mask, in.image.width, in.image.height, ResizeFilter::bicubic);
        in.mask = extended_mask(in);
        in.image = extend(in.image, in.margins);
    }
    SourcePicture made;
    if (in.mask.empty()) {
        made.image_ = resize(in.image, width, height, in.resize);
        return made;
    }
    Pixels mask = in.mask;
    if (mask.width != in.image.width || mask.height != in.image.height)
        mask = resample(mask, in.image.width, in.image.height, ResizeFilter::bicubic);
    mask = gaussian_blur(mask, double(in.mask_blur));
    made.only_masked_ = in.only_masked;
    if (in.only_masked) {
        made.region_ = masked_region(mask, in.padding, width, height);
        made.original_ = in.image;
        made.original_mask_ = mask;
        made.image_ = resize(crop(in.image, made.region_), width, height, ResizeMode::fill);
        made.mask_ = resize(crop(mask, made.region_), width, height, ResizeMode::fill);
    } else {
        made.image_ = made.original_ = resize(in.image, width, height, in.resize);
        made.mask_ = made.original_mask_ = resize(mask, width, height, in.resize);
    }
    if (in.fill != MaskFill::original) made.image_ = fill_masked(made.image_, made.mask_);
    return made;
}

std::vector<float> SourcePicture::latent_mask(std::uint32_t height, std::uint32_t width) const {
    const Pixels small = resample(mask_, width, height, ResizeFilter::bicubic);
    std::vector<float> values;
    for (const std::uint8_t v : small.bytes) values.push_back(v >= 128 ? 1.0f : 0.0f);
    return values;
}

Pixels SourcePicture::masked_image() const {
    Pixels out = image_;
    for (std::size_t i = 0; i < out.bytes.size(); ++i)
        if (mask_.empty() || mask_.bytes[i / 3] >= 128) out.bytes[i] = kGray;
    return out;
}

Pixels SourcePicture::compose(Pixels made) const {
    if (original_mask_.empty()) return made;
    if (!only_masked_) return lay_over(original_, made, original_mask_);
    // The padding that "fill" drew out, where the region's shape is not the picture's, is cut off again.
    const Pixels part = resize(made, region_.width, region_.height, ResizeMode::crop);
    Pixels whole = original_;
    for (std::uint32_t y = 0; y < region_.height; ++y)
        std::copy_n(part.at(0, y), std::size_t(3) * region_.width, whole.at(region_.x, region_.y + y));
    return lay_over(original_, whole, original_mask_);
}

double as_written(float value) {
    std::array<char, 64> text;
    const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
    double number = double(value);
    std::from_chars(text.data(), written.ptr, number);
    return number;
}

std::vector<float> sigmas_for_strength(const std::vector<float>& sigmas, std::uint32_t steps, double strength) {
    // As Python multiplies and cuts: in double.
    return last_sigmas(sigmas, static_cast<std::size_t>(std::min(strength, 0.999) * steps));
}

std::vector<float> last_sigmas(const std::vector<float>& sigmas, std::size_t t) {
    const std::size_t levels = sigmas.back() == 0 ? t + 2 : std::max<std::size_t>(t, 2);
    const std::size_t count = std::min(levels, sigmas.size());
    return {sigmas.end() - static_cast<std::ptrdiff_t>(count), sigmas.end()};
}

}  // namespace pumice
