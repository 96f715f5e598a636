// y = (x - mean) / sqrt(variance + eps) * gamma + beta over the channels of each row; LANES invocations a row, each with
// every LANES-th quad. The mean first, then the squares of the differences: no cancellation.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@skip f16 exact
#include "exact.glsl"
#include "index.glsl"
#include "reduce.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Gamma { vec4 gamma[]; };
layout(set = 0, binding = 2, std430) readonly buffer Beta { vec4 beta[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;  // quads
    uint rows, channels4;
    float eps;
};

void main() {
    const uint row = invocation_index() / LANES, lane = gl_LocalInvocationID.x % LANES;
    const uint at = min(row, rows - 1) * channels4;  // surplus rows go along for the barriers
    PRECISE float count = float(4 * channels4);

    PRECISE float sum = 0.0;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 v = load4(x[x_base + at + c]);
        sum = sum + ((v.x + v.y) + (v.z + v.w));
    }
    PRECISE float mean = m_div(row_sum(sum), count);

    PRECISE float squares = 0.0;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 d = load4(x[x_base + at + c]) - mean;
        squares = squares + ((d.x * d.x + d.y * d.y) + (d.z * d.z + d.w * d.w));
    }
    PRECISE float variance = m_div(row_sum(squares), count);
    PRECISE float padded = variance + eps;
    PRECISE float factor = m_rsqrt(padded);

    if (row >= rows) return;
    for (uint c = lane; c < channels4; c += LANES) {
        PRECISE vec4 v = (load4(x[x_base + at + c]) - mean) * factor * gamma[c] + beta[c];
        y[y_base + at + c] = store4(v);
    }
}
