// Adds a tile, pixel (i, j) weighted with weights[row_weights + i] * weights[column_weights + j], to a part of one
// picture: pixel (top + i, left + j), going on at its other end.
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

layout(set = 0, binding = 0, std430) buffer Sum { vec4 sum[]; };
layout(set = 0, binding = 1, std430) readonly buffer Tile { vec4 tile[]; };
layout(set = 0, binding = 2, std430) readonly buffer Weights { float weights[]; };
layout(push_constant) uniform Push {
    uint sum_base, tile_base, quads, height, width, tile_width, channels4, top, left, row_weights, column_weights;
};

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint pixel = i / channels4, channel = i % channels4;
    const uint at_row = pixel / tile_width, at_column = pixel % tile_width;
    const uint row = (top + at_row) % height, column = (left + at_column) % width;
    const uint place = sum_base + (row * width + column) * channels4 + channel;
    PRECISE float weight = weights[row_weights + at_row] * weights[column_weights + at_column];
    PRECISE vec4 part = weight * tile[tile_base + i];
    PRECISE vec4 together = sum[place] + part;
    sum[place] = together;
}
