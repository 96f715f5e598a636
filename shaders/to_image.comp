// x * scale + offset clamped to [0, 1], times 255, truncated to 8 bits; the fourth byte is 255. NaN becomes 0.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Image { uint image[]; };
layout(push_constant) uniform Push { uint x_base, image_base, quads; float scale, offset; };

uint level(float v) {
    PRECISE float l = (v > 0.0 ? (v < 1.0 ? v : 1.0) : 0.0) * 255.0;
    return uint(l);
}

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    PRECISE vec4 v = load4(x[x_base + i]) * scale + offset;
    image[image_base + i] = level(v.x) | level(v.y) << 8 | level(v.z) << 16 | 0xff000000u;
}
