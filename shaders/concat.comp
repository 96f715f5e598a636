// Rows of a's channels, then b's.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer A { ACT4 a[]; };
layout(set = 0, binding = 1, std430) readonly buffer B { ACT4 b[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint a_base, b_base, y_base, rows, a_channels4, b_channels4; };

void main() {
    const uint i = invocation_index(), channels4 = a_channels4 + b_channels4;
    if (i >= rows * channels4) return;
    const uint row = i / channels4, channel = i % channels4;
    if (channel < a_channels4) y[y_base + i] = a[a_base + row * a_channels4 + channel];
    else y[y_base + i] = b[b_base + row * b_channels4 + channel - a_channels4];
}
