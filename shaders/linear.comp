// y[M][N] = activation(x[M][K] w + bias) + residual, or the GEGLU gate. See include/tile_mma.glsl for the variants.
//@axis f32:ACT_F32 f16:ACT_F16
//@axis wf32:W_F32 wf16:W_F16 wbf16:W_BF16
//@axis exact:EXACT fast:
//@axis direct: wide:WIDE broadcast:BROADCAST shared:SHARED
//@skip f16 exact
#version 460
#extension GL_EXT_control_flow_attributes : require
#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#ifdef BROADCAST
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#extension GL_GOOGLE_include_directive : require

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES_N = 8;
layout(constant_id = 1) const uint LANES_M = 1;
layout(constant_id = 2) const uint ACTIVATION = 0;  // pumice::ops::Activation, or 4: GEGLU

layout(push_constant) uniform Parameters {
    uint rows;     // M
    uint quads;    // N / 4
    uint k_quads;  // K / 4
    uint x_base, y_base, residual_base;  // quads
    uint flags;                          // include/epilogue.glsl
} p;

#define TAPS 1
ivec2 row_origin(uint row) { return ivec2(p.x_base + row * p.k_quads, 0); }
bool row_source(ivec2 origin, uint tap, out uint at) {
    at = uint(origin.x);
    return true;
}

#include "tile_mma.glsl"

void main() { tile_product(); }
