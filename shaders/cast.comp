// Other element type, quad by quad.
#version 460
//@axis f32:FROM_F32 f16:FROM_F16 bf16:FROM_BF16
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

#ifdef FROM_F32
#define FROM4 vec4
#else
#define FROM4 uvec2
#endif

layout(set = 0, binding = 0, std430) readonly buffer X { FROM4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, quads; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
#ifdef FROM_BF16
    const uvec2 v = x[x_base + i];
    y[y_base + i] = store4(uintBitsToFloat(uvec4(v.x << 16, v.x & 0xffff0000u, v.y << 16, v.y & 0xffff0000u)));
#else
    y[y_base + i] = store4(load4(x[x_base + i]));
#endif
}
