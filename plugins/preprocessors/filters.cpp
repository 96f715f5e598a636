// Image filters: what is done to a picture when it is there.
#include <algorithm>
#include <cmath>

#include "methods.hpp"

namespace pumice::preprocessors {
namespace {

/// x + amount * (x - blurred), the mask of a 3x3 binomial.
constexpr const char* kSharpen = R"(#version 460
layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { int width, height; float amount; };

vec4 at(int column, int row) { return x[clamp(row, 0, height - 1) * width + clamp(column, 0, width - 1)]; }

void main() {
    const int column = int(gl_GlobalInvocationID.x), row = int(gl_GlobalInvocationID.y);
    if (column >= width) return;
    precise vec4 sum = vec4(0);
    for (int i = -1; i <= 1; ++i)
        for (int j = -1; j <= 1; ++j) {
            precise vec4 term = at(column + j, row + i) * float((2 - abs(i)) * (2 - abs(j)));
            sum = sum + term;
        }
    const vec4 v = at(column, row);
    precise vec4 soft = sum * 0.0625;
    precise vec4 detail = v - soft;
    precise vec4 more = detail * amount;
    precise vec4 sharp = v + more;
    y[row * width + column] = sharp;
}
)";

struct SharpenPush {
    std::int32_t width, height;
    float amount;
};

void sharpen(Drawing& d) {
    const std::uint32_t w = d.in.width(), h = d.in.height();
    const pumice_kernel kernel = sdk::make_kernel(d.job, "sharpen.comp", kSharpen, 1, 1, sizeof(SharpenPush));
    const SharpenPush push{static_cast<std::int32_t>(w), static_cast<std::int32_t>(h),
                           static_cast<float>(d.params[0].number)};
    sdk::Program program(d.job, "sharpen", [&](sdk::Graph& g) {
        g.output(g.append(kernel, {g.input(h, w, 4)}, {1, h, w, 4}, &push, (w + 63) / 64, h));
    });
    program.write(d.in, 0, 0);
    program.run();
    program.read(d.out, 0, 0, w, h, 0, 0);
}

/// Levels: brightness is added, contrast multiplies the distance from middle grey, saturation that from the luma.
void adjust(Drawing& d) {
    const double brightness = d.params[0].number * 255, contrast = d.params[1].number, saturation = d.params[2].number;
    const std::uint32_t channels = d.in.channels();
    for (std::uint32_t y = 0; y < d.in.height(); ++y) {
        const std::uint8_t* in = d.in.row(y);
        std::uint8_t* out = d.out.row(y);
        for (std::uint32_t x = 0; x < d.in.width(); ++x, in += channels, out += channels) {
            const double grey = 0.299 * in[0] + 0.587 * in[1] + 0.114 * in[2];
            for (std::uint32_t c = 0; c < channels; ++c) {
                const double v = (grey + (in[c] - grey) * saturation - 127.5) * contrast + 127.5 + brightness;
                out[c] = c == 3 ? in[c] : static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0) + 0.5);
            }
        }
    }
}

const pumice_param kAmount = number("amount", "how much", nullptr, 0, 4, 0.5, PUMICE_PARAM_FLOAT);
const pumice_param kBrightness = number("brightness", "added to every level", nullptr, -1, 1, 0, PUMICE_PARAM_FLOAT);
const pumice_param kContrast = number("contrast", "1: as it is", nullptr, 0, 4, 1, PUMICE_PARAM_FLOAT);
const pumice_param kSaturation = number("saturation", "0: grey, 1: as it is", nullptr, 0, 4, 1, PUMICE_PARAM_FLOAT);
const pumice_param* const kSharpenParams[] = {&kAmount};
const pumice_param* const kAdjustParams[] = {&kBrightness, &kContrast, &kSaturation};

}  // namespace

std::vector<Filter> filters() {
    constexpr std::uint32_t kSize = sizeof(pumice_image_filter_descriptor);
    return {{{kSize, 0, "sharpen", "Sharpen", "an unsharp mask", 1, 0, kSharpenParams}, sharpen},
            {{kSize, 0, "adjust", "Adjust", "brightness, contrast, saturation", 3, 0, kAdjustParams}, adjust}};
}

}  // namespace pumice::preprocessors
