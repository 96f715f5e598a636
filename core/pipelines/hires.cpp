#include "pipelines/hires.hpp"

#include <algorithm>
#include <cmath>

namespace pumice {
namespace {

/// The two places along an axis that one of the result lies between, and the share of the second.
struct Between {
    std::uint32_t low = 0, high = 0;
    double share = 0;
};

std::vector<Between> between(std::uint32_t from, std::uint32_t to) {
    std::vector<Between> places(to);
    for (std::uint32_t i = 0; i < to; ++i) {
        const double center = (i + 0.5) * from / to - 0.5, floor = std::floor(center);
        const auto place = [&](std::int64_t at) {
            const std::int64_t n = from;
            return static_cast<std::uint32_t>(std::clamp<std::int64_t>(at, 0, n - 1));
        };
        const auto low = static_cast<std::int64_t>(floor);
        places[i] = {place(low), place(low + 1), center - floor};
    }
    return places;
}

}  // namespace

std::vector<float> enlarge_latents(std::span<const float> nchw, const Shape& from, std::uint32_t height,
                                   std::uint32_t width) {
    const std::vector<Between> rows = between(from.h, height), columns = between(from.w, width);
    std::vector<float> nhwc(std::size_t(from.n) * height * width * from.c);
    std::size_t at = 0;
    for (std::size_t n = 0; n < from.n; ++n)
        for (const Between& y : rows)
            for (const Between& x : columns)
                for (std::size_t c = 0; c < from.c; ++c) {
                    const float* const plane = nchw.data() + (n * from.c + c) * from.h * from.w;
                    const auto row = [&](std::uint32_t r) {
                        const double a = double(plane[std::size_t(r) * from.w + x.low]);
                        const double b = double(plane[std::size_t(r) * from.w + x.high]);
                        return a + (b - a) * x.share;
                    };
                    const double top = row(y.low), bottom = row(y.high);
                    nhwc[at++] = static_cast<float>(top + (bottom - top) * y.share);
                }
    return nhwc;
}

std::uint32_t whole_steps(std::uint32_t steps, double strength) {
    return static_cast<std::uint32_t>(steps / std::min(strength, 0.999));
}

}  // namespace pumice
