// Sum, sum of squares and largest absolute value of each piece of 1024 quads, one workgroup a piece, in a fixed order:
// each invocation every 64th quad of its piece, then the first invocation over all of them.
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

const uint PIECE = 1024;

layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;
    uint quads, pieces;
};

shared vec3 parts[gl_WorkGroupSize.x];

void main() {
    const uint piece = workgroup_index(), lane = gl_LocalInvocationID.x;
    precise float sum = 0.0, squares = 0.0;
    float largest = 0.0;
    if (piece < pieces) {
        const uint end = min(quads, (piece + 1) * PIECE);
        for (uint i = piece * PIECE + lane; i < end; i += gl_WorkGroupSize.x) {
            precise vec4 v = x[x_base + i];
            precise vec4 s = v * v;
            sum = sum + v.x;
            sum = sum + v.y;
            sum = sum + v.z;
            sum = sum + v.w;
            squares = squares + s.x;
            squares = squares + s.y;
            squares = squares + s.z;
            squares = squares + s.w;
            const vec4 a = abs(v);
            largest = max(largest, max(max(a.x, a.y), max(a.z, a.w)));
        }
    }
    parts[lane] = vec3(sum, squares, largest);
    barrier();
    if (lane != 0 || piece >= pieces) return;
    for (uint i = 1; i < gl_WorkGroupSize.x; ++i) {
        sum = sum + parts[i].x;
        squares = squares + parts[i].y;
        largest = max(largest, parts[i].z);
    }
    y[y_base + piece] = vec4(sum, squares, largest, 0.0);
}
