// Batched product of activations: y[b][M][N] = scale * a[b][M][K] times b[b][K][N], or b[b][N][K] transposed.
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@skip f16 exact
#version 460
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "types.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES_N = 8;
layout(constant_id = 1) const uint LANES_M = 1;
layout(constant_id = 2) const uint TRANSPOSE_B = 0;
layout(constant_id = 3) const uint F32_OUTPUT = 0;

layout(set = 0, binding = 0) readonly buffer A { ACT4 a_quads[]; };
layout(set = 0, binding = 1) readonly buffer B { ACT4 b_quads[]; };
layout(set = 0, binding = 2) writeonly buffer Y32 { vec4 y_f32[]; };
layout(set = 0, binding = 2) writeonly buffer Y16 { uvec2 y_f16[]; };

layout(push_constant) uniform Parameters {
    uint rows;             // M of this dispatch
    uint quads;            // N / 4
    uint k_quads;          // K / 4
    uint a_base, b_base, y_base;        // quads
    uint a_stride, b_stride, y_stride;  // quads from one product of the batch to the next
    float scale;
} p;

// core/ops/matmul.cpp counts with the same number.
#define TILE_ROWS 8

// Values 4k…4k+3 of K for four columns: element [i] holds value i.
mat4 b_block(uint base, uint k, uint column) {
    mat4 block;
    if (TRANSPOSE_B != 0) {
        [[unroll]] for (uint c = 0; c < 4; ++c) block[c] = load4(b_quads[base + (4 * column + c) * p.k_quads + k]);
        block = transpose(block);
    } else {
        [[unroll]] for (uint i = 0; i < 4; ++i) block[i] = load4(b_quads[base + (4 * k + i) * p.quads + column]);
    }
    return block;
}

void main() {
    const uint column = gl_WorkGroupID.y * LANES_N + gl_LocalInvocationID.x;
    const uint row0 = (gl_WorkGroupID.x * LANES_M + gl_LocalInvocationID.y) * TILE_ROWS;
    if (column >= p.quads || row0 >= p.rows) return;
    const uint a_base = p.a_base + gl_WorkGroupID.z * p.a_stride, b_base = p.b_base + gl_WorkGroupID.z * p.b_stride;

    vec4 sum[TILE_ROWS];
    uint source[TILE_ROWS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        sum[i] = vec4(0);
        source[i] = a_base + min(row0 + i, p.rows - 1) * p.k_quads;
    }
    for (uint k = 0; k < p.k_quads; ++k) {
        const mat4 block = b_block(b_base, k, column);
        [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
            const vec4 a = load4(a_quads[source[i] + k]);
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                PRECISE vec4 product = a[j] * block[j];
                PRECISE vec4 total = sum[i] + product;
                sum[i] = total;
            }
        }
    }
    const uint y_base = p.y_base + gl_WorkGroupID.z * p.y_stride;
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        if (row0 + i >= p.rows) break;
        PRECISE vec4 v = sum[i] * p.scale;
        const uint at = y_base + (row0 + i) * p.quads + column;
        if (F32_OUTPUT != 0) y_f32[at] = v;
        else y_f16[at] = to_f16(v);
    }
}
