#include "pipelines/pixels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/exact_math.hpp"

namespace pumice {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kBits = 22;  // 32 less 8 of the pixel, and 2 for sums beyond it

double sinc(double x) {
    return x == 0 ? 1 : exact::sin(kPi * x) / (kPi * x);
}

double weight(ResizeFilter filter, double x) {
    x = std::abs(x);
    if (filter == ResizeFilter::lanczos) return x < 3 ? sinc(x) * sinc(x / 3) : 0;
    constexpr double a = -0.5;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/// The pixels that one of the result is made of.
struct Taps {
    std::uint32_t first = 0;
    std::vector<std::int32_t> weights;
};

std::vector<Taps> taps_for(std::uint32_t from, std::uint32_t to, ResizeFilter filter) {
    const double scale = double(from) / to, stretch = std::max(scale, 1.0);
    const double support = (filter == ResizeFilter::lanczos ? 3 : 2) * stretch;
    std::vector<Taps> all(to);
    for (std::uint32_t i = 0; i < to; ++i) {
        const double center = (i + 0.5) * scale;
        const auto first = static_cast<std::int64_t>(std::max(0.0, center - support + 0.5));
        const auto end = static_cast<std::int64_t>(std::min(double(from), center + support + 0.5));
        std::vector<double> weights;
        double sum = 0;
        for (std::int64_t x = first; x < end; ++x) {
            weights.push_back(weight(filter, (double(x) - center + 0.5) / stretch));
            sum += weights.back();
        }
        all[i].first = static_cast<std::uint32_t>(first);
        for (const double w : weights) {
            const double scaled = (sum != 0 ? w / sum : w) * (1 << kBits);
            all[i].weights.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
        }
    }
    return all;
}

std::uint8_t clamped(std::int64_t sum) {
    return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kBits, 0, 255));
}

Pixels resample_columns(const Pixels& from, std::uint32_t width, ResizeFilter filter) {
    const std::vector<Taps> taps = taps_for(from.width, width, filter);
    Pixels to = make_pixels(width, from.height, from.channels);
    for (std::uint32_t y = 0; y < to.height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (std::uint32_t c = 0; c < to.channels; ++c) {
                std::int64_t sum = std::int64_t(1) << (kBits - 1);
                for (std::size_t k = 0; k < taps[x].weights.size(); ++k)
                    sum += std::int64_t(taps[x].weights[k]) *
                           from.at(taps[x].first + static_cast<std::uint32_t>(k), y)[c];
                to.at(x, y)[c] = clamped(sum);
            }
    return to;
}

Pixels resample_rows(const Pixels& from, std::uint32_t height, ResizeFilter filter) {
    const std::vector<Taps> taps = taps_for(from.height, height, filter);
    Pixels to = make_pixels(from.width, height, from.channels);
    const std::size_t row = std::size_t(from.width) * from.channels;
    std::vector<std::int64_t> sums(row);
    for (std::uint32_t y = 0; y < height; ++y) {
        std::fill(sums.begin(), sums.end(), std::int64_t(1) << (kBits - 1));
        for (std::size_t k = 0; k < taps[y].weights.size(); ++k) {
            const std::uint8_t* const line = from.at(0, taps[y].first + static_cast<std::uint32_t>(k));
            for (std::size_t i = 0; i < row; ++i) sums[i] += std::int64_t(taps[y].weights[k]) * line[i];
        }
        for (std::size_t i = 0; i < row; ++i) to.at(0, y)[i] = clamped(sums[i]);
    }
    return to;
}

/// Copies what of `from`, laid with its corner at (left, top), lies within `to`; with `edges` the pixels beyond it
/// repeat its nearest.
void lay(Pixels& to, const Pixels& from, std::int64_t left, std::int64_t top, bool edges) {
    for (std::uint32_t y = 0; y < to.height; ++y)
        for (std::uint32_t x = 0; x < to.width; ++x) {
            std::int64_t sx = std::int64_t(x) - left, sy = std::int64_t(y) - top;
            if (edges) {
                sx = std::clamp<std::int64_t>(sx, 0, std::int64_t(from.width) - 1);
                sy = std::clamp<std::int64_t>(sy, 0, std::int64_t(from.height) - 1);
            }
            if (sx < 0 || sy < 0 || sx >= from.width || sy >= from.height) continue;
            std::copy_n(from.at(static_cast<std::uint32_t>(sx), static_cast<std::uint32_t>(sy)), to.channels,
                        to.at(x, y));
        }
}

/// One axis of a picture in double.
struct Plane {
    std::size_t width, height;
    std::vector<double> values;
};

/// The mean of 2 * radius + 1 values along a line, those beyond its ends being its ends.
void box_blur_line(const double* from, double* to, std::size_t count, std::size_t stride, std::int64_t radius) {
    const auto n = static_cast<std::int64_t>(count);
    const auto value = [&](std::int64_t i) {
        return from[static_cast<std::size_t>(std::clamp<std::int64_t>(i, 0, n - 1)) * stride];
    };
    double sum = 0;
    for (std::int64_t i = -radius; i <= radius; ++i) sum += value(i);
    for (std::int64_t i = 0; i < n; ++i) {
        to[static_cast<std::size_t>(i) * stride] = sum / double(2 * radius + 1);
        sum += value(i + radius + 1) - value(i - radius);
    }
}

/// A Gaussian as three box blurs (Kovesi 2010, "Fast almost-Gaussian filtering").
void box_blur(Plane& plane, double sigma) {
    const auto radius = static_cast<std::int64_t>(std::sqrt(sigma * sigma * 4 + 1) / 2);
    if (radius < 1) return;
    std::vector<double> other(plane.values.size());
    for (int pass = 0; pass < 3; ++pass) {
        for (std::size_t y = 0; y < plane.height; ++y)
            box_blur_line(&plane.values[y * plane.width], &other[y * plane.width], plane.width, 1, radius);
        for (std::size_t x = 0; x < plane.width; ++x)
            box_blur_line(&other[x], &plane.values[x], plane.height, plane.width, radius);
    }
}

std::uint8_t rounded(double value) {
    return static_cast<std::uint8_t>(std::clamp(value + 0.5, 0.0, 255.0));
}

}  // namespace

Pixels make_pixels(std::uint32_t width, std::uint32_t height, std::uint32_t channels) {
    return {width, height, channels, std::vector<std::uint8_t>(std::size_t(width) * height * channels)};
}

Pixels resample(const Pixels& from, std::uint32_t width, std::uint32_t height, ResizeFilter filter) {
    Pixels to = from.width == width ? from : resample_columns(from, width, filter);
    return to.height == height ? to : resample_rows(to, height, filter);
}

Pixels resize(const Pixels& from, std::uint32_t width, std::uint32_t height, ResizeMode mode) {
    if (mode == ResizeMode::stretch || (from.width == width && from.height == height))
        return resample(from, width, height, ResizeFilter::lanczos);
    // Exact comparison of width/height with the picture's own.
    const std::uint64_t wanted = std::uint64_t(width) * from.height, own = std::uint64_t(from.width) * height;
    const bool by_width = mode == ResizeMode::crop ? wanted > own : wanted < own;
    const auto scaled = [](std::uint64_t side, std::uint64_t to, std::uint64_t of) {
        return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, side * to / of));
    };
    const std::uint32_t w = by_width || wanted == own ? width : scaled(from.width, height, from.height);
    const std::uint32_t h = !by_width || wanted == own ? height : scaled(from.height, width, from.width);
    const Pixels resized = resample(from, w, h, ResizeFilter::lanczos);
    Pixels to = make_pixels(width, height, from.channels);
    lay(to, resized, std::int64_t(width / 2) - w / 2, std::int64_t(height / 2) - h / 2, mode == ResizeMode::fill);
    return to;
}

Pixels extend(const Pixels& in, const Margins& m) {
    Pixels out = make_pixels(in.width + m.left + m.right, in.height + m.top + m.bottom, in.channels);
    const auto inside = [](std::uint32_t at, std::uint32_t before, std::uint32_t size) {
        return at < before ? 0 : std::min(at - before, size - 1);
    };
    for (std::uint32_t y = 0; y < out.height; ++y)
        for (std::uint32_t x = 0; x < out.width; ++x)
            std::copy_n(in.at(inside(x, m.left, in.width), inside(y, m.top, in.height)), in.channels, out.at(x, y));
    return out;
}

Pixels crop(const Pixels& from, const Region& region) {
    Pixels to = make_pixels(region.width, region.height, from.channels);
    lay(to, from, -std::int64_t(region.x), -std::int64_t(region.y), true);
    return to;
}

Pixels to_gray(const Pixels& rgb) {
    Pixels gray = make_pixels(rgb.width, rgb.height, 1);
    for (std::size_t i = 0; i < gray.bytes.size(); ++i) {
        const std::uint8_t* const p = rgb.bytes.data() + i * rgb.channels;
        gray.bytes[i] = rgb.channels < 3
                            ? p[0]
                            : static_cast<std::uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    }
    return gray;
}

Pixels gaussian_blur(const Pixels& from, double sigma) {
    const auto radius = static_cast<std::int64_t>(2.5 * sigma + 0.5);
    if (radius < 1) return from;
    std::vector<double> kernel;
    double sum = 0;
    for (std::int64_t i = -radius; i <= radius; ++i) {
        kernel.push_back(exact::exp(-double(i * i) / (2 * sigma * sigma)));
        sum += kernel.back();
    }
    const auto mirrored = [](std::int64_t i, std::int64_t n) {
        if (n == 1) return std::int64_t(0);
        const std::int64_t period = 2 * (n - 1);
        const std::int64_t at = ((i % period) + period) % period;
        return at < n ? at : period - at;
    };
    const auto pass = [&](const Pixels& in, bool columns) {
        Pixels out = make_pixels(in.width, in.height, in.channels);
        for (std::uint32_t y = 0; y < in.height; ++y)
            for (std::uint32_t x = 0; x < in.width; ++x)
                for (std::uint32_t c = 0; c < in.channels; ++c) {
                    double value = 0;
                    for (std::int64_t k = -radius; k <= radius; ++k) {
                        const auto sx = columns ? static_cast<std::uint32_t>(mirrored(x + k, in.width)) : x;
                        const auto sy = columns ? y : static_cast<std::uint32_t>(mirrored(y + k, in.height));
                        value += kernel[static_cast<std::size_t>(k + radius)] * in.at(sx, sy)[c];
                    }
                    out.at(x, y)[c] = rounded(value / sum);
                }
        return out;
    };
    return pass(pass(from, true), false);
}

Pixels fill_masked(const Pixels& rgb, const Pixels& mask) {
    constexpr std::array<std::pair<int, int>, 6> kPasses{{{256, 1}, {64, 1}, {16, 2}, {4, 4}, {2, 2}, {0, 1}}};
    const std::size_t pixels = std::size_t(rgb.width) * rgb.height;
    // Colours times how far they are kept, and that as a fourth plane.
    std::array<std::vector<double>, 4> kept, filled;
    for (std::size_t c = 0; c < 4; ++c) {
        kept[c].resize(pixels);
        filled[c].assign(pixels, 0);
        for (std::size_t i = 0; i < pixels; ++i) {
            const double alpha = (255 - mask.bytes[i]) / 255.0;
            kept[c][i] = c < 3 ? alpha * rgb.bytes[3 * i + c] : alpha;
        }
    }
    for (const auto& [radius, repeats] : kPasses) {
        std::array<Plane, 4> blurred;
        for (std::size_t c = 0; c < 4; ++c) {
            blurred[c] = {rgb.width, rgb.height, kept[c]};
            box_blur(blurred[c], radius);
        }
        for (int repeat = 0; repeat < repeats; ++repeat)
            for (std::size_t i = 0; i < pixels; ++i) {
                const double under = 1 - blurred[3].values[i];
                for (std::size_t c = 0; c < 4; ++c) filled[c][i] = blurred[c].values[i] + filled[c][i] * under;
            }
    }
    Pixels out = make_pixels(rgb.width, rgb.height, 3);
    for (std::size_t i = 0; i < pixels; ++i)
        for (std::size_t c = 0; c < 3; ++c)
            out.bytes[3 * i + c] = filled[3][i] > 0 ? rounded(filled[c][i] / filled[3][i]) : 0;
    return out;
}

namespace {

/// Widens [low, high) about its middle to `wanted`, moved and cut to [0, limit).
void widen(std::int64_t& low, std::int64_t& high, std::int64_t wanted, std::int64_t limit) {
    const std::int64_t more = std::max<std::int64_t>(0, wanted - (high - low));
    low -= more / 2;
    high += more - more / 2;
    if (high > limit) low -= high - limit, high = limit;
    if (low < 0) high -= low, low = 0;
    high = std::min(high, limit);
}

}  // namespace

Region masked_region(const Pixels& mask, std::uint32_t padding, std::uint32_t width, std::uint32_t height) {
    std::int64_t x0 = mask.width, y0 = mask.height, x1 = 0, y1 = 0;
    for (std::uint32_t y = 0; y < mask.height; ++y)
        for (std::uint32_t x = 0; x < mask.width; ++x)
            if (*mask.at(x, y) != 0) {
                x0 = std::min<std::int64_t>(x0, x), x1 = std::max<std::int64_t>(x1, x + 1);
                y0 = std::min<std::int64_t>(y0, y), y1 = std::max<std::int64_t>(y1, y + 1);
            }
    if (x1 <= x0) return {0, 0, mask.width, mask.height};
    x0 = std::max<std::int64_t>(0, x0 - padding), x1 = std::min<std::int64_t>(mask.width, x1 + padding);
    y0 = std::max<std::int64_t>(0, y0 - padding), y1 = std::min<std::int64_t>(mask.height, y1 + padding);
    if ((x1 - x0) * height > std::int64_t(width) * (y1 - y0))
        widen(y0, y1, (x1 - x0) * height / width, mask.height);
    else
        widen(x0, x1, (y1 - y0) * width / height, mask.width);
    return {static_cast<std::uint32_t>(x0), static_cast<std::uint32_t>(y0), static_cast<std::uint32_t>(x1 - x0),
            static_cast<std::uint32_t>(y1 - y0)};
}

Pixels lay_over(const Pixels& under, const Pixels& over, const Pixels& alpha) {
    Pixels out = under;
    for (std::size_t i = 0; i < alpha.bytes.size(); ++i)
        for (std::size_t c = 0; c < out.channels; ++c) {
            const int a = alpha.bytes[i], from = under.bytes[i * out.channels + c], to = over.bytes[i * out.channels + c];
            out.bytes[i * out.channels + c] = static_cast<std::uint8_t>((from * (255 - a) + to * a + 127) / 255);
        }
    return out;
}

}  // namespace pumice
