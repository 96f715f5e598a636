#include "pipelines/control_picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace pumice {
namespace {

constexpr std::uint32_t kMostSide = 65536;

/// Levels from 0 to 255, three a pixel.
struct Plane {
    std::uint32_t width = 0, height = 0;
    std::vector<double> values;
    double at(std::uint32_t x, std::uint32_t y, std::uint32_t c) const {
        return values[(std::size_t(y) * width + x) * 3 + c];
    }
    double& at(std::uint32_t x, std::uint32_t y, std::uint32_t c) {
        return values[(std::size_t(y) * width + x) * 3 + c];
    }
};

/// How much each source element counts in one of the result.
struct Taps {
    std::vector<std::uint32_t> from;
    std::vector<double> weights;
};

/// Keys 1981 with a = -0.5.
double catmull_rom(double x) {
    x = std::fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

Taps taps_of(std::uint32_t i, std::uint32_t in, std::uint32_t out) {
    Taps taps;
    const double step = double(in) / out;
    if (out < in) {
        const double begin = i * step, end = (i + 1) * step;
        for (auto k = static_cast<std::uint32_t>(begin); k < in && k < end; ++k) {
            taps.from.push_back(k);
            taps.weights.push_back((std::min(end, k + 1.0) - std::max(begin, double(k))) / step);
        }
        return taps;
    }
    const double centre = (i + 0.5) * step - 0.5, first = std::floor(centre) - 1;
    for (int k = 0; k < 4; ++k) {
        const double at = std::clamp(first + k, 0.0, double(in - 1));
        taps.from.push_back(static_cast<std::uint32_t>(at));
        taps.weights.push_back(catmull_rom(centre - (first + k)));
    }
    return taps;
}

Plane resized(const Plane& in, std::uint32_t width, std::uint32_t height) {
    Plane rows{width, in.height, std::vector<double>(std::size_t(width) * in.height * 3)};
    for (std::uint32_t x = 0; x < width; ++x) {
        const Taps taps = taps_of(x, in.width, width);
        for (std::uint32_t y = 0; y < in.height; ++y)
            for (std::uint32_t c = 0; c < 3; ++c) {
                double sum = 0;
                for (std::size_t k = 0; k < taps.from.size(); ++k) sum += taps.weights[k] * in.at(taps.from[k], y, c);
                rows.at(x, y, c) = sum;
            }
    }
    Plane out{width, height, std::vector<double>(std::size_t(width) * height * 3)};
    for (std::uint32_t y = 0; y < height; ++y) {
        const Taps taps = taps_of(y, in.height, height);
        for (std::uint32_t x = 0; x < width; ++x)
            for (std::uint32_t c = 0; c < 3; ++c) {
                double sum = 0;
                for (std::size_t k = 0; k < taps.from.size(); ++k) sum += taps.weights[k] * rows.at(x, taps.from[k], c);
                out.at(x, y, c) = std::clamp(sum, 0.0, 255.0);
            }
    }
    return out;
}

/// Of the first and last rows and columns, channel by channel.
std::array<double, 3> border_median(const Plane& in) {
    std::array<double, 3> median{};
    for (std::uint32_t c = 0; c < 3; ++c) {
        std::vector<double> border;
        for (std::uint32_t x = 0; x < in.width; ++x)
            for (const std::uint32_t y : {0u, in.height - 1}) border.push_back(in.at(x, y, c));
        for (std::uint32_t y = 0; y < in.height; ++y)
            for (const std::uint32_t x : {0u, in.width - 1}) border.push_back(in.at(x, y, c));
        std::sort(border.begin(), border.end());
        const std::size_t half = border.size() / 2;  // an even number of them
        median[c] = std::floor((border[half - 1] + border[half]) / 2);
    }
    return median;
}

std::uint32_t scaled(std::uint32_t side, double factor) {
    return std::max(1u, static_cast<std::uint32_t>(std::floor(side * factor + 0.5)));
}

Plane fitted(const Plane& in, std::uint32_t width, std::uint32_t height, FitMode mode) {
    if (mode == FitMode::stretch) return resized(in, width, height);
    const double by_width = double(width) / in.width, by_height = double(height) / in.height;
    const bool crop = mode == FitMode::crop;
    const double factor = crop ? std::max(by_width, by_height) : std::min(by_width, by_height);
    const Plane whole = resized(in, scaled(in.width, factor), scaled(in.height, factor));
    Plane out{width, height, std::vector<double>(std::size_t(width) * height * 3)};
    const std::array<double, 3> around = border_median(in);
    const auto offset = [](std::uint32_t large, std::uint32_t small) {
        return large > small ? (large - small) / 2 : 0;
    };
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x) {
            const std::int64_t from_x = std::int64_t(x) + offset(whole.width, width) - offset(width, whole.width);
            const std::int64_t from_y = std::int64_t(y) + offset(whole.height, height) - offset(height, whole.height);
            const bool inside = from_x >= 0 && from_y >= 0 && from_x < whole.width && from_y < whole.height;
            for (std::uint32_t c = 0; c < 3; ++c)
                out.at(x, y, c) =
                    inside ? whole.at(static_cast<std::uint32_t>(from_x), static_cast<std::uint32_t>(from_y), c)
                           : around[c];
        }
    return out;
}

}  // namespace

Result<std::vector<float>> fit_control_picture(std::span<const std::uint8_t> rgb, std::uint32_t in_width,
                                               std::uint32_t in_height, std::uint32_t width, std::uint32_t height,
                                               FitMode mode) {
    if (in_width == 0 || in_height == 0 || in_width > kMostSide || in_height > kMostSide || width == 0 || height == 0 ||
        rgb.size() != std::size_t(in_width) * in_height * 3)
        return Error{Code::invalid_argument, fmt::format("a control picture of {}x{} in {} bytes for {}x{}", in_width,
                                                         in_height, rgb.size(), width, height)};
    const Plane in{in_width, in_height, std::vector<double>(rgb.begin(), rgb.end())};
    const bool binary = std::all_of(rgb.begin(), rgb.end(), [](std::uint8_t v) { return v == 0 || v == 255; });
    const Plane out = fitted(in, width, height, mode);
    std::vector<float> values(std::size_t(width) * height * 4);
    for (std::size_t i = 0; i < std::size_t(width) * height; ++i)
        for (std::size_t c = 0; c < 3; ++c) {
            const double level = out.values[3 * i + c];
            values[4 * i + c] =
                binary ? (level > 127 ? 1.0f : 0.0f) : static_cast<float>(std::floor(level + 0.5) / 255);
        }
    return values;
}

}  // namespace pumice
