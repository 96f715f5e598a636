// What follows the product: y = activation(product + bias [+ a vector a picture]) + residual, or the GEGLU gate.
//
// The shader defines picture_quad(row), the quad of `channel_add` where the row's picture begins, if it has one
// (CHANNEL_ADD). `p` has flags, quads (of columns), y_base and residual_base (quads). ACTIVATION is a
// specialization constant.
#ifndef PUMICE_EPILOGUE_GLSL
#define PUMICE_EPILOGUE_GLSL
#include "exact.glsl"
#include "types.glsl"

// p.flags, not constants, so that a model needs few pipelines; core/ops/gemm.hpp has the same names.
const uint HAS_BIAS = 1, HAS_RESIDUAL = 2, HAS_CHANNEL_ADD = 4, F32_OUTPUT = 8, F32_RESIDUAL = 16;
// A value of ACTIVATION beside those of exact.glsl.
const uint ACTIVATION_GEGLU = 4;

layout(set = 0, binding = 2) readonly buffer Bias { vec4 bias[]; };
// One binding read as either type: a flag says which.
layout(set = 0, binding = 3) readonly buffer Residual32 { vec4 residual_f32[]; };
layout(set = 0, binding = 3) readonly buffer Residual16 { uvec2 residual_f16[]; };
layout(set = 0, binding = 4) writeonly buffer Y32 { vec4 y_f32[]; };
layout(set = 0, binding = 4) writeonly buffer Y16 { uvec2 y_f16[]; };
layout(set = 0, binding = 4) writeonly buffer Pair32 { vec2 pair_f32[]; };
layout(set = 0, binding = 4) writeonly buffer Pair16 { uint pair_f16[]; };
#ifdef CHANNEL_ADD
layout(set = 0, binding = 5) readonly buffer ChannelAdd { vec4 channel_add[]; };
#endif

// Four columns are two values and their two gates (core/graph/weight.hpp); the output is half as wide.
void store_geglu(uint row, uint column, vec4 v) {
    PRECISE vec2 y;
    y.x = v.x * m_gelu(v.z);
    y.y = v.y * m_gelu(v.w);
    const uint at = 2 * p.y_base + row * p.quads + column;
    if ((p.flags & F32_OUTPUT) != 0) pair_f32[at] = y;
    else pair_f16[at] = packHalf2x16(y);
}

void store_tile(uint row, uint column, vec4 product) {
    PRECISE vec4 v = product;
    if ((p.flags & HAS_BIAS) != 0) v = v + bias[column];
#ifdef CHANNEL_ADD
    if ((p.flags & HAS_CHANNEL_ADD) != 0) v = v + channel_add[picture_quad(row) + column];
#endif
    if (ACTIVATION == ACTIVATION_GEGLU) {
        store_geglu(row, column, v);
        return;
    }
    v = m_activation(v, ACTIVATION);
    const uint at = row * p.quads + column;
    if ((p.flags & HAS_RESIDUAL) != 0) {
        if ((p.flags & F32_RESIDUAL) != 0) v = v + residual_f32[p.residual_base + at];
        else v = v + load4(residual_f16[p.residual_base + at]);
    }
    if ((p.flags & F32_OUTPUT) != 0) y_f32[p.y_base + at] = v;
    else y_f16[p.y_base + at] = to_f16(v);
}

#endif
