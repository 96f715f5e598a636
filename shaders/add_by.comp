// y = x + weight * r for the pixels of one picture; the weight comes from a buffer.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer R { ACT4 r[]; };
layout(set = 0, binding = 2, std430) readonly buffer Params { float params[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, r_base, y_base, quads, params_index; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    PRECISE vec4 scaled = params[params_index] * load4(r[r_base + i]);
    PRECISE vec4 sum = load4(x[x_base + i]) + scaled;
    y[y_base + i] = store4(sum);
}
