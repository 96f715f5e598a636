// A picture in the host's memory, as pumice.image/1 shows it to plugins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "pumice/sdk/ext/image.h"

namespace pumice::plugins {

class Picture {
public:
    /// All 0. Code::invalid_argument for a size or format that is none; Code::out_of_host_memory.
    static Result<Picture> create(std::uint32_t format, std::uint32_t width, std::uint32_t height);

    std::uint32_t format() const { return format_; }
    std::uint32_t width() const { return width_; }
    std::uint32_t height() const { return height_; }
    bool has_alpha() const { return format_ == PUMICE_PICTURE_RGBA8 || format_ == PUMICE_PICTURE_RGBA32F; }
    bool is_float() const { return format_ >= PUMICE_PICTURE_RGB32F; }
    std::uint32_t channels() const { return has_alpha() ? 4 : 3; }
    std::size_t row_bytes() const { return std::size_t(width_) * channels() * (is_float() ? 4 : 1); }
    std::byte* pixels() { return memory_.data() + kGuard; }
    const std::byte* pixels() const { return memory_.data() + kGuard; }
    std::size_t bytes() const { return memory_.size() - 2 * kGuard; }
    /// Whether nobody wrote right before or right behind the pixels, which plugins are given a pointer to.
    bool intact() const;

    /// {rows, columns, 4} floats of the rectangle at (x, y): levels as 0 to 1, the fourth is alpha or 0. Outside, the
    /// nearest pixel of the edge.
    void read(std::int64_t x, std::int64_t y, std::uint32_t columns, std::uint32_t rows, float* rgba) const;
    /// The other way, inside the picture; `stride` floats from row to row of rgba. Channels whose bit is set in
    /// `which` are written; 8-bit levels are clamped and rounded to the nearest, NaN is 0.
    void write(std::uint32_t x, std::uint32_t y, std::uint32_t columns, std::uint32_t rows, const float* rgba,
               std::size_t stride, std::uint32_t which);

private:
    static constexpr std::size_t kGuard = 4096;  ///< bytes on either side of the pixels that nobody has business with
    Picture() = default;
    std::uint32_t format_ = 0, width_ = 0, height_ = 0;
    std::vector<std::byte> memory_;
};

}  // namespace pumice::plugins
