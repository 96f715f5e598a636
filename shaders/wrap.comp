// A tensor with what lies at its other end around it: pixel (y, x) of the output is pixel (y - pad, x - pad) of the
// input, taken round. A dispatch has rows that follow each other in both; in x it wraps itself.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, rows, in_w, out_w, pad, channels4; };

void main() {
    const uint i = invocation_index(), row_quads = out_w * channels4;
    if (i >= rows * row_quads) return;
    const uint row = i / row_quads, pixel = i % row_quads / channels4, channel = i % channels4;
    const uint column = (pixel + in_w - pad) % in_w;
    y[y_base + i] = x[x_base + (row * in_w + column) * channels4 + channel];
}
