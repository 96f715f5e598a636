// y = exp(x - max) / sum over the channels of each row; LANES invocations a row, each with every LANES-th quad.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@skip f16 exact
#include "exact.glsl"
#include "index.glsl"
#include "reduce.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;  // quads
    uint rows, channels4;
};

vec4 weights_of(vec4 v) { return vec4(m_exp(v.x), m_exp(v.y), m_exp(v.z), m_exp(v.w)); }

void main() {
    const uint row = invocation_index() / LANES, lane = gl_LocalInvocationID.x % LANES;
    const uint at = min(row, rows - 1) * channels4;  // surplus rows go along for the barriers

    PRECISE float top = -3e38;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 v = load4(x[x_base + at + c]);
        top = max(top, max(max(v.x, v.y), max(v.z, v.w)));
    }
    top = row_max(top);

    PRECISE float sum = 0.0;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 d = load4(x[x_base + at + c]) - top;
        PRECISE vec4 w = weights_of(d);
        sum = sum + ((w.x + w.y) + (w.z + w.w));
    }
    PRECISE float inverse = m_recip(row_sum(sum));

    if (row >= rows) return;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 d = load4(x[x_base + at + c]) - top;
        PRECISE vec4 w = weights_of(d) * inverse;
        y[y_base + at + c] = store4(w);
    }
}
