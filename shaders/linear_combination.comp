// y = sum of weight[i] * x[i], added in order; the weights come from the push constants or, BY_PARAMS, from a buffer.
// y may be one of the terms.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
//@axis four: eight:EIGHT
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(constant_id = 0) const uint TERMS = 1;
layout(constant_id = 1) const bool BY_PARAMS = false;

layout(set = 0, binding = 0, std430) readonly buffer X0 { ACT4 x0[]; };
layout(set = 0, binding = 1, std430) readonly buffer X1 { ACT4 x1[]; };
layout(set = 0, binding = 2, std430) readonly buffer X2 { ACT4 x2[]; };
layout(set = 0, binding = 3, std430) readonly buffer X3 { ACT4 x3[]; };
#ifdef EIGHT
layout(set = 0, binding = 4, std430) readonly buffer X4 { ACT4 x4[]; };
layout(set = 0, binding = 5, std430) readonly buffer X5 { ACT4 x5[]; };
layout(set = 0, binding = 6, std430) readonly buffer X6 { ACT4 x6[]; };
layout(set = 0, binding = 7, std430) readonly buffer X7 { ACT4 x7[]; };
layout(set = 0, binding = 8, std430) writeonly buffer Y { ACT4 y[]; };
layout(set = 0, binding = 9, std430) readonly buffer Params { float params[]; };
#else
layout(set = 0, binding = 4, std430) writeonly buffer Y { ACT4 y[]; };
layout(set = 0, binding = 5, std430) readonly buffer Params { float params[]; };
#endif
layout(push_constant) uniform Push {
    uvec4 x_base, x_base_4;
    vec4 weights, weights_4;
    uint y_base, quads;
    uint params_index;
};

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    PRECISE vec4 w = weights;
    if (BY_PARAMS)
        for (uint t = 0; t < min(TERMS, 4u); ++t) w[t] = params[params_index + t];
    PRECISE vec4 sum = w.x * load4(x0[x_base.x + i]);
    if (TERMS > 1) sum = sum + w.y * load4(x1[x_base.y + i]);
    if (TERMS > 2) sum = sum + w.z * load4(x2[x_base.z + i]);
    if (TERMS > 3) sum = sum + w.w * load4(x3[x_base.w + i]);
#ifdef EIGHT
    w = weights_4;
    if (BY_PARAMS)
        for (uint t = 4; t < TERMS; ++t) w[t - 4] = params[params_index + t];
    if (TERMS > 4) sum = sum + w.x * load4(x4[x_base_4.x + i]);
    if (TERMS > 5) sum = sum + w.y * load4(x5[x_base_4.y + i]);
    if (TERMS > 6) sum = sum + w.z * load4(x6[x_base_4.z + i]);
    if (TERMS > 7) sum = sum + w.w * load4(x7[x_base_4.w + i]);
#endif
    y[y_base + i] = store4(sum);
}
