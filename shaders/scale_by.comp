// y = x * params[index], f32 to f32 or f16.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Params { float params[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, quads, params_index; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    y[y_base + i] = store4(x[x_base + i] * params[params_index]);
}
