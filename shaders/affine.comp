// y = x * scale + offset, kept between low and high: numbers of each picture's channels, four rows of them a picture
// (scale, offset, low, high). y may be x.
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Params { vec4 params[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base, quads;
    uint first;          // quad of the picture that x_base stands at
    uint channel_quads;  // of a pixel
    uint params_base;    // of the picture
};

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint channel = params_base + (first + i) % channel_quads;
    precise vec4 scaled = x[x_base + i] * params[channel];
    precise vec4 moved = scaled + params[channel + channel_quads];
    y[y_base + i] = min(max(moved, params[channel + 2 * channel_quads]), params[channel + 3 * channel_quads]);
}
