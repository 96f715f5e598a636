// A part of one picture: pixel (i, j) of the tile is pixel (top + i, left + j) of the picture, going on at its other end.
#version 460
#include "index.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, quads, height, width, tile_width, channels4, top, left; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint pixel = i / channels4, channel = i % channels4;
    const uint row = (top + pixel / tile_width) % height, column = (left + pixel % tile_width) % width;
    y[y_base + i] = x[x_base + (row * width + column) * channels4 + channel];
}
