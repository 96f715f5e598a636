// Sets flag to 1 when any element is NaN or infinite: when its exponent is all ones. Each invocation looks at QUADS.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) buffer Flag { uint flag; };
layout(push_constant) uniform Push { uint x_base, quads; };

const uint QUADS = 8;

bool finite(ACT4 v) {
#ifdef ACT_F16
    const uvec4 exponent = uvec4(v & 0x7c00u, (v >> 16) & 0x7c00u);
    return all(notEqual(exponent, uvec4(0x7c00u)));
#else
    return all(notEqual(floatBitsToUint(v) & 0x7f800000u, uvec4(0x7f800000u)));
#endif
}

void main() {
    // Neighbouring invocations read neighbouring quads.
    const uint first = workgroup_index() * gl_WorkGroupSize.x * QUADS + gl_LocalInvocationID.x;
    bool good = true;
    for (uint k = 0; k < QUADS; ++k) {
        const uint i = first + k * gl_WorkGroupSize.x;
        if (i < quads) good = finite(x[x_base + i]) && good;
    }
    if (!good) atomicOr(flag, 1u);
}
