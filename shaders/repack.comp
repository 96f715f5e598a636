// A weight in file order [n][k][tap] to the packed layout [tap][k/4][n][4] of core/graph/weight.hpp. Elements are moved
// as bits, or f32 is rounded to f16 or bf16; n and k are padded with zeros.
//@axis b32: b16:HALF,FROM_HALF f32_f16:HALF,TO_F16 f32_bf16:HALF,TO_BF16
#version 460

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 8;
layout(constant_id = 1) const uint TAPS = 1;
layout(constant_id = 2) const uint IS_GEGLU = 0;

#ifdef HALF
#define QUAD uvec2
#else
#define QUAD uvec4
#endif
layout(set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1) writeonly buffer Packed { QUAD packed_quads[]; };

layout(push_constant) uniform Parameters {
    uint rows;                // of this dispatch, padding rows included
    uint row0;                // the first one's place in the whole weight
    uint n, k;                // as in the file
    uint n_padded, k_quads;
} p;

uint element(uint i) {
#ifdef FROM_HALF
    const uint word = source[i >> 1];
    return (i & 1) != 0 ? word >> 16 : word & 0xffffu;
#elif defined(TO_F16)
    return packHalf2x16(vec2(uintBitsToFloat(source[i]), 0)) & 0xffffu;
#elif defined(TO_BF16)
    const uint bits = source[i];  // to nearest, to even
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
#else
    return source[i];
#endif
}

// Groups of four columns hold two values and their two gates.
uint geglu_column(uint row) {
    const uint half_n = p.n / 2;
    const uint gate = row >= half_n ? 1 : 0, r = row - gate * half_n;
    return r / 2 * 4 + gate * 2 + r % 2;
}

void main() {
    const uint r = gl_GlobalInvocationID.x, kq = gl_WorkGroupID.y;
    if (r >= p.rows) return;
    const uint row = p.row0 + r;
    const uint column = IS_GEGLU != 0 ? geglu_column(row) : row;
    for (uint tap = 0; tap < TAPS; ++tap) {
        uvec4 v = uvec4(0);
        if (row < p.n)
            for (uint i = 0; i < 4; ++i)
                if (4 * kq + i < p.k) v[i] = element((r * p.k + 4 * kq + i) * TAPS + tap);
        const uint at = (tap * p.k_quads + kq) * p.n_padded + column;
#ifdef HALF
        packed_quads[at] = uvec2(v.x | v.y << 16, v.z | v.w << 16);
#else
        packed_quads[at] = v;
#endif
    }
}
