// Operands of a matrix product: x, rows of activations, and w, packed weights (core/graph/weight.hpp). Both are counted
// in quads: four neighbouring elements of a row. A weight's quad holds four values of k for one column.
//
//   ACT_F16             x is f16, else f32
//   W_F32 W_F16 W_BF16  the weights' type
//   WIDE                loads are 32 bytes, as four 64-bit integers. On a processor a load costs by the instruction,
//                       not by the byte, so this is worth a factor of two there.
//
// The shader declares `p` (push constants) before and defines X_BINDING and W_BINDING.
#ifndef PUMICE_TILE_LOAD_GLSL
#define PUMICE_TILE_LOAD_GLSL
#include "types.glsl"

// XWORD is what one load of x gives, X_QUADS the quads in it.
#if defined(WIDE) && defined(ACT_F16)
#define XWORD u64vec4
#define X_QUADS 4
#elif defined(WIDE)
#define XWORD u64vec4
#define X_QUADS 2
#else
#define XWORD ACT4
#define X_QUADS 1
#endif

// WWORD is what one load of w gives, W_LOADS the loads for four columns.
#if defined(WIDE) && !defined(W_F32)
#define WWORD u64vec4
#define W_LOADS 1
#elif defined(WIDE)
#define WWORD u64vec4
#define W_LOADS 2
#elif defined(W_F32)
#define WWORD vec4
#define W_LOADS 4
#else
#define WWORD uvec4
#define W_LOADS 2
#endif

layout(set = 0, binding = 0) readonly buffer X { XWORD x_words[]; };
layout(set = 0, binding = 1) readonly buffer W { WWORD w_words[]; };

#ifdef WIDE
uvec2 halves(uint64_t v) { return uvec2(uint(v), uint(v >> 32)); }
#endif

// Quad j of a word of x.
vec4 x_quad(XWORD v, uint j) {
#if defined(WIDE) && defined(ACT_F16)
    return load4(halves(v[j]));
#elif defined(WIDE)
    return uintBitsToFloat(uvec4(halves(v[2 * j]), halves(v[2 * j + 1])));
#else
    return load4(v);
#endif
}

// `inside ? v : 0`, for the zeros around a picture.
XWORD x_keep(XWORD v, bool inside) {
#ifdef WIDE
    return v & u64vec4(inside ? ~0ul : 0ul);
#elif defined(ACT_F16)
    return v & uvec2(inside ? ~0u : 0u);
#else
    return mix(vec4(0), v, bvec4(inside));
#endif
}

// Four values of one column from its two words of 16-bit elements.
vec4 w_quad(uvec2 v) {
#ifdef W_BF16
    return uintBitsToFloat(uvec4(v.x << 16, v.x & 0xffff0000u, v.y << 16, v.y & 0xffff0000u));
#else
    return load4(v);
#endif
}

// The 4 x 4 block of w at k quad `k` and column quad `column`: element [i] holds value i of k for the four columns.
mat4 w_block(uint k, uint column) {
    const uint at = (k * p.quads + column) * W_LOADS;
    mat4 columns;
#if defined(WIDE) && !defined(W_F32)
    const u64vec4 v = w_words[at];
    columns = mat4(w_quad(halves(v.x)), w_quad(halves(v.y)), w_quad(halves(v.z)), w_quad(halves(v.w)));
#elif defined(WIDE)
    const u64vec4 a = w_words[at], b = w_words[at + 1];
    columns = mat4(uintBitsToFloat(uvec4(halves(a.x), halves(a.y))), uintBitsToFloat(uvec4(halves(a.z), halves(a.w))),
                   uintBitsToFloat(uvec4(halves(b.x), halves(b.y))), uintBitsToFloat(uvec4(halves(b.z), halves(b.w))));
#elif defined(W_F32)
    columns = mat4(w_words[at], w_words[at + 1], w_words[at + 2], w_words[at + 3]);
#else
    const uvec4 a = w_words[at], b = w_words[at + 1];
    columns = mat4(w_quad(a.xy), w_quad(a.zw), w_quad(b.xy), w_quad(b.zw));
#endif
    return transpose(columns);
}

#endif
