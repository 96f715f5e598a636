// Edges after Canny 1986 ("A Computational Approach to Edge Detection"), as OpenCV computes them: Sobel gradients of
// the channel where they are strongest, their sum of absolute values, thinning along the gradient, and two thresholds.
#include <algorithm>

#include "methods.hpp"

namespace pumice::preprocessors {
namespace {

/// Gradients. In: levels / 255 of {1, h, w, 4}. Out: {1, h, w, 4}: |dx| + |dy|, dx, dy, all whole numbers.
constexpr const char* kSobel = R"(#version 460
layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { int width, height; };

// The picture's own edge is repeated outside.
vec3 level(int column, int row) {
    column = clamp(column, 0, width - 1);
    row = clamp(row, 0, height - 1);
    precise vec3 v = x[row * width + column].rgb * 255.0;
    return floor(v + 0.5);
}

void main() {
    const int column = int(gl_GlobalInvocationID.x), row = int(gl_GlobalInvocationID.y);
    if (column >= width) return;
    const vec3 a = level(column - 1, row - 1), b = level(column, row - 1), c = level(column + 1, row - 1);
    const vec3 d = level(column - 1, row), f = level(column + 1, row);
    const vec3 g = level(column - 1, row + 1), h = level(column, row + 1), i = level(column + 1, row + 1);
    const vec3 dx = (c + 2.0 * f + i) - (a + 2.0 * d + g);
    const vec3 dy = (g + 2.0 * h + i) - (a + 2.0 * b + c);
    const vec3 size = abs(dx) + abs(dy);
    int best = 0;
    if (size[1] > size[best]) best = 1;
    if (size[2] > size[best]) best = 2;
    y[row * width + column] = vec4(size[best], dx[best], dy[best], 0);
}
)";

/// Thinning: 2 for an edge that is certain, 1 for one that is an edge if it touches such a one, else 0.
constexpr const char* kThin = R"(#version 460
layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { int width, height; float low, high; };

// Outside there is no gradient.
float size(int column, int row) {
    return column >= 0 && row >= 0 && column < width && row < height ? x[row * width + column].x : 0.0;
}

void main() {
    const int column = int(gl_GlobalInvocationID.x), row = int(gl_GlobalInvocationID.y);
    if (column >= width) return;
    const vec4 v = x[row * width + column];
    const float m = v.x;
    bool highest = false;
    if (m > low) {
        // tan 22.5 degrees in 15 bits, as integers; dx and dy are at most 1020.
        const int ax = int(abs(v.y)), ay = int(abs(v.z)) << 15, tangent = ax * 13573;
        if (ay < tangent) {
            highest = m > size(column - 1, row) && m >= size(column + 1, row);
        } else if (ay > tangent + (ax << 16)) {
            highest = m > size(column, row - 1) && m >= size(column, row + 1);
        } else {
            const int s = (v.y < 0.0) != (v.z < 0.0) ? -1 : 1;
            highest = m > size(column - s, row - 1) && m > size(column + s, row + 1);
        }
    }
    const float kind = highest ? (m > high ? 2.0 : 1.0) : 0.0;
    y[row * width + column] = vec4(kind, 0, 0, 0);
}
)";

const pumice_param kLow = number("low", "gradients below are no edges", nullptr, 0, 2040, 100);
const pumice_param kHigh =
    number("high", "gradients above are edges; between, where they touch one", nullptr, 0, 2040, 200);
const pumice_param* const kParams[] = {&kLow, &kHigh};

struct ThinPush {
    std::int32_t width, height;
    float low, high;
};

/// The thinned classes of every pixel, by the device.
std::vector<float> classes(Drawing& d, float low, float high) {
    const std::uint32_t w = d.in.width(), h = d.in.height();
    const pumice_kernel sobel = sdk::make_kernel(d.job, "canny_gradients.comp", kSobel, 1, 1, 8);
    const pumice_kernel thin = sdk::make_kernel(d.job, "canny_thinning.comp", kThin, 1, 1, sizeof(ThinPush));
    const ThinPush push{static_cast<std::int32_t>(w), static_cast<std::int32_t>(h), low, high};
    sdk::Program program(d.job, "canny", [&](sdk::Graph& g) {
        const pumice_shape shape{1, h, w, 4};
        const std::uint32_t groups = (w + 63) / 64;
        const pumice_node gradients = g.append(sobel, {g.input(h, w, 4)}, shape, &push, groups, h);
        g.output(g.append(thin, {gradients}, shape, &push, groups, h));
    });
    std::vector<float> found(std::size_t{4} * w * h);
    program.write(d.in, 0, 0);
    program.run();
    program.read(found);
    return found;
}

/// Edges that are certain, and from them along those that touch, in all eight directions.
void canny(Drawing& d) {
    const auto low = static_cast<float>(std::min(d.params[0].number, d.params[1].number));
    const auto high = static_cast<float>(std::max(d.params[0].number, d.params[1].number));
    const std::vector<float> found = classes(d, low, high);
    if (!d.job.ok()) return;
    const std::int64_t w = d.in.width(), h = d.in.height();
    std::vector<std::uint8_t> edge(static_cast<std::size_t>(w * h));
    std::vector<std::int64_t> open;
    const auto take = [&](std::int64_t at) {
        if (edge[static_cast<std::size_t>(at)]) return;
        edge[static_cast<std::size_t>(at)] = 255;
        open.push_back(at);
    };
    for (std::int64_t i = 0; i < w * h; ++i)
        if (found[static_cast<std::size_t>(4 * i)] > 1.5f) take(i);
    while (!open.empty()) {
        const std::int64_t at = open.back(), x = at % w, y = at / w;
        open.pop_back();
        for (std::int64_t row = std::max<std::int64_t>(0, y - 1); row <= std::min(h - 1, y + 1); ++row)
            for (std::int64_t column = std::max<std::int64_t>(0, x - 1); column <= std::min(w - 1, x + 1); ++column)
                if (found[static_cast<std::size_t>(4 * (row * w + column))] > 0.5f) take(row * w + column);
    }
    for (std::int64_t y = 0; y < h; ++y)
        for (std::int64_t x = 0; x < w; ++x)
            std::fill_n(d.out.row(static_cast<std::uint32_t>(y)) + 3 * x, 3, edge[static_cast<std::size_t>(y * w + x)]);
}

}  // namespace

std::vector<Preprocessor> edge_methods() {
    return {{{sizeof(pumice_preprocessor_descriptor), 0, "canny", "Canny", "thin edges; Canny 1986", 2, 0, kParams},
             canny}};
}

}  // namespace pumice::preprocessors
