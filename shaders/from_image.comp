// 8-bit pixels to level / 255 * scale + offset; the fourth channel is 0.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Image { uint image[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint image_base, y_base, quads; float scale, offset; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint p = image[image_base + i];
    PRECISE vec3 v = vec3(float(p & 0xffu), float((p >> 8) & 0xffu), float((p >> 16) & 0xffu)) * (1.0 / 255.0);
    v = v * scale + offset;
    y[y_base + i] = store4(vec4(v, 0));
}
