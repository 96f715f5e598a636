// Nearest neighbour: pixel (r, c) of the output is pixel (floor(r in_h / out_h), floor(c in_w / out_w)) of the input.
// A dispatch makes some rows of pixels, counted over the batch from first_row.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;                // quads
    uint first_row, rows, first_x_row;  // first_x_row: the row that x_base stands for
    uint in_h, in_w, out_h, out_w;
    uint channels4;
};

void main() {
    const uint i = invocation_index();
    if (i >= rows * out_w * channels4) return;
    const uint channel = i % channels4, column = i / channels4 % out_w, row = first_row + i / channels4 / out_w;
    const uint x_row = row / out_h * in_h + row % out_h * in_h / out_h - first_x_row;
    y[y_base + i] = x[x_base + (x_row * in_w + column * in_w / out_w) * channels4 + channel];
}
