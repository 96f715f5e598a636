// y = x, or slope[channel] * x below 0, quad by quad.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@skip f16 exact
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Slopes { vec4 slopes[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, quads, channels4, slopes4; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint channel = i % channels4;
    const vec4 v = load4(x[x_base + i]);
    const vec4 slope = channel < slopes4 ? slopes[channel] : vec4(0);
    y[y_base + i] = store4(vec4(m_leaky_relu(v.x, slope.x), m_leaky_relu(v.y, slope.y), m_leaky_relu(v.z, slope.z),
                                m_leaky_relu(v.w, slope.w)));
}
