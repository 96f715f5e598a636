// y = activation(x), quad by quad.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@skip f16 exact
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(constant_id = 0) const uint KIND = 0;  // pumice::ops::Activation

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, quads; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    y[y_base + i] = store4(m_activation(load4(x[x_base + i]), KIND));
}
