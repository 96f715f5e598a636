#include "plugins/picture.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include <fmt/format.h>

namespace pumice::plugins {
namespace {

constexpr std::byte kUntouched{0xA5};

}  // namespace

Result<Picture> Picture::create(std::uint32_t format, std::uint32_t width, std::uint32_t height) {
    if (format < PUMICE_PICTURE_RGB8 || format > PUMICE_PICTURE_RGBA32F)
        return Error{Code::invalid_argument, fmt::format("a picture of format {}, which is none", format)};
    if (width == 0 || height == 0 || std::max(width, height) > PUMICE_PICTURE_MAX_SIDE)
        return Error{Code::invalid_argument, fmt::format("a picture of {}x{} pixels: sides must be 1 to {}", width,
                                                         height, PUMICE_PICTURE_MAX_SIDE)};
    Picture made;
    made.format_ = format;
    made.width_ = width;
    made.height_ = height;
    try {
        made.memory_.resize(2 * kGuard + made.row_bytes() * height);
    } catch (const std::bad_alloc&) {
        return Error{Code::out_of_host_memory, fmt::format("no memory for a picture of {}x{} pixels", width, height)};
    }
    std::fill_n(made.memory_.begin(), kGuard, kUntouched);
    std::fill_n(made.memory_.rbegin(), kGuard, kUntouched);
    return made;
}

bool Picture::intact() const {
    const auto untouched = [](std::byte each) { return each == kUntouched; };
    return std::all_of(memory_.begin(), memory_.begin() + kGuard, untouched) &&
           std::all_of(memory_.rbegin(), memory_.rbegin() + kGuard, untouched);
}

void Picture::read(std::int64_t x, std::int64_t y, std::uint32_t columns, std::uint32_t rows, float* rgba) const {
    const std::uint32_t c = channels();
    for (std::uint32_t i = 0; i < rows; ++i) {
        const std::byte* row =
            pixels() +
            static_cast<std::size_t>(std::clamp<std::int64_t>(y + i, 0, std::int64_t(height_) - 1)) * row_bytes();
        for (std::uint32_t j = 0; j < columns; ++j, rgba += 4) {
            const auto at = static_cast<std::size_t>(std::clamp<std::int64_t>(x + j, 0, std::int64_t(width_) - 1)) * c;
            rgba[3] = 0;
            if (is_float()) {
                std::memcpy(rgba, row + at * 4, c * 4);
            } else {
                for (std::uint32_t k = 0; k < c; ++k) rgba[k] = static_cast<float>(row[at + k]) / 255.0f;
            }
        }
    }
}

void Picture::write(std::uint32_t x, std::uint32_t y, std::uint32_t columns, std::uint32_t rows, const float* rgba,
                    std::size_t stride, std::uint32_t which) {
    const auto level = [](float v) {
        if (!(v > 0)) return std::byte(0);
        return v < 1 ? static_cast<std::byte>(v * 255.0f + 0.5f) : std::byte(255);
    };
    const std::uint32_t c = channels();
    for (std::uint32_t i = 0; i < rows; ++i) {
        const float* from = rgba + i * stride;
        std::byte* row = pixels() + std::size_t(y + i) * row_bytes();
        for (std::uint32_t j = 0; j < columns; ++j, from += 4) {
            const std::size_t at = std::size_t(x + j) * c;
            for (std::uint32_t k = 0; k < c; ++k) {
                if ((which >> k & 1) == 0) continue;
                if (is_float())
                    std::memcpy(row + (at + k) * 4, from + k, 4);
                else
                    row[at + k] = level(from[k]);
            }
        }
    }
}

}  // namespace pumice::plugins
