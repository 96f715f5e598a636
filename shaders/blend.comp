// y = a * mask + b * (1 - mask)
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

layout(set = 0, binding = 0, std430) readonly buffer A { vec4 a[]; };
layout(set = 0, binding = 1, std430) readonly buffer B { vec4 b[]; };
layout(set = 0, binding = 2, std430) readonly buffer Mask { vec4 mask[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint a_base, b_base, mask_base, y_base, quads; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    PRECISE vec4 m = mask[mask_base + i];
    PRECISE vec4 kept = a[a_base + i] * m;
    PRECISE vec4 made = b[b_base + i] * (1.0 - m);
    PRECISE vec4 sum = kept + made;
    y[y_base + i] = sum;
}
