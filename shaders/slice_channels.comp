// Some of each row's channels.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, rows, x_channels4, first4, channels4; };

void main() {
    const uint i = invocation_index();
    if (i >= rows * channels4) return;
    y[y_base + i] = x[x_base + (i / channels4) * x_channels4 + first4 + i % channels4];
}
