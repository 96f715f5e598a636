// shuffle: channel c r r + i r + j of pixel (y, x) becomes channel c of pixel (y r + i, x r + j). unshuffle: the other way.
// An invocation makes four channels of one output pixel. Rows are counted over the batch.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis shuffle:SHUFFLE unshuffle:
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;  // quads
    uint quads, first_row, first_x_row;
    uint in_w, in_channels4, out_w, out_channels4;
    uint r, channels;     // channels: of the shuffled side, without padding
};

float element(uint row, uint column, uint channel) {
    return load4(x[x_base + ((row - first_x_row) * in_w + column) * in_channels4 + channel / 4])[channel % 4];
}

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint quad = i % out_channels4, column = i / out_channels4 % out_w, row = first_row + i / out_channels4 / out_w;
    vec4 v = vec4(0);
    for (uint k = 0; k < 4; ++k) {
        const uint channel = 4 * quad + k;
#ifdef SHUFFLE
        if (channel < channels) v[k] = element(row / r, column / r, channel * r * r + row % r * r + column % r);
#else
        const uint cell = channel % (r * r);
        if (channel < channels * r * r) v[k] = element(row * r + cell / r, column * r + cell % r, channel / (r * r));
#endif
    }
    y[y_base + i] = store4(v);
}
