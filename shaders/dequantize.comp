// A weight in blocks of ggml (core/weights/quantized.hpp has the layouts and formulas) as the packed layout [k/4][n][4]
// of core/graph/weight.hpp: four elements of a row to an invocation.
#version 460
//@axis q4_0:Q4_0,QK=32,BYTES=18 q4_1:Q4_1,QK=32,BYTES=20 q5_0:Q5_0,QK=32,BYTES=22 q5_1:Q5_1,QK=32,BYTES=24 q8_0:Q8_0,QK=32,BYTES=34 q2_k:Q2_K,QK=256,BYTES=84 q3_k:Q3_K,QK=256,BYTES=110 q4_k:Q4_K,QK=256,BYTES=144 q5_k:Q5_K,QK=256,BYTES=176 q6_k:Q6_K,QK=256,BYTES=210
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(set = 0, binding = 0, std430) readonly buffer Blocks { uint words[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Packed { ACT4 packed_quads[]; };
layout(push_constant) uniform Push {
    uint first, quads;  // of the packed quads, and how many of them
    uint n, n_padded;   // rows, and columns of the packed layout
    uint row_bytes;
    uint geglu;         // columns in groups of two values and their two gates
} p;

uint byte_at(uint at) { return bitfieldExtract(words[at >> 2], int(at & 3) * 8, 8); }
float signed_at(uint at) { return float(int(byte_at(at) << 24) >> 24); }
float half_at(uint at) { return unpack_halves(byte_at(at) | byte_at(at + 1) << 8).x; }

// Element j of 32 in 16 bytes: the low nibbles, then the high ones.
uint nibble(uint at, uint j) { return j < 16 ? byte_at(at + j) & 15u : byte_at(at + j - 16) >> 4; }

#if defined(Q4_K) || defined(Q5_K)
// Element i of 256 in 128 bytes: 32 low nibbles, 32 high ones, and so on.
uint nibble_of_256(uint at, uint i) { return byte_at(at + i / 64 * 32 + i % 32) >> (i % 64 / 32 * 4) & 15u; }

// Scale and minimum of group s of 8, 6 bits each in 12 bytes.
vec2 scale_min(uint at, uint s) {
    if (s < 4) return vec2(byte_at(at + s) & 63u, byte_at(at + s + 4) & 63u);
    return vec2((byte_at(at + s + 4) & 15u) | byte_at(at + s - 4) >> 6 << 4,
                byte_at(at + s + 4) >> 4 | byte_at(at + s) >> 6 << 4);
}
#endif

// Element i of the block at byte b.
float element(uint b, uint i) {
#if defined(Q4_0)
    precise float v = half_at(b) * (float(nibble(b + 2, i)) - 8.0);
#elif defined(Q4_1)
    precise float v = half_at(b) * float(nibble(b + 4, i));
    v = v + half_at(b + 2);
#elif defined(Q5_0)
    const uint fifth = byte_at(b + 2 + i / 8) >> (i % 8) & 1u;
    precise float v = half_at(b) * (float(nibble(b + 6, i) | fifth << 4) - 16.0);
#elif defined(Q5_1)
    const uint fifth = byte_at(b + 4 + i / 8) >> (i % 8) & 1u;
    precise float v = half_at(b) * float(nibble(b + 8, i) | fifth << 4);
    v = v + half_at(b + 2);
#elif defined(Q8_0)
    precise float v = half_at(b) * signed_at(b + 2 + i);
#elif defined(Q2_K)
    const uint scale = byte_at(b + i / 16);
    const uint q = byte_at(b + 16 + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3u;
    precise float v = half_at(b + 80) * float(scale & 15u);
    v = v * float(q);
    precise float low = half_at(b + 82) * float(scale >> 4);
    v = v - low;
#elif defined(Q3_K)
    const uint s = i / 16;
    const uint low = s < 8 ? byte_at(b + 96 + s) & 15u : byte_at(b + 88 + s) >> 4;
    const uint scale = low | (byte_at(b + 104 + s % 4) >> (s / 4 * 2) & 3u) << 4;
    const uint q = byte_at(b + 32 + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3u;
    const bool third = (byte_at(b + i % 32) >> (i / 32) & 1u) != 0;
    precise float v = half_at(b + 108) * (float(scale) - 32.0);
    v = v * (float(q) - (third ? 0.0 : 4.0));
#elif defined(Q4_K) || defined(Q5_K)
    const vec2 s = scale_min(b + 4, i / 32);
#ifdef Q5_K
    const uint q = nibble_of_256(b + 48, i) | (byte_at(b + 16 + i % 32) >> (i / 32) & 1u) << 4;
#else
    const uint q = nibble_of_256(b + 16, i);
#endif
    precise float v = half_at(b) * s.x;
    v = v * float(q);
    precise float low = half_at(b + 2) * s.y;
    v = v - low;
#elif defined(Q6_K)
    const uint quarter = i % 128 / 32, l = i % 32;
    const uint low = byte_at(b + i / 128 * 64 + quarter % 2 * 32 + l) >> (quarter / 2 * 4) & 15u;
    const uint high = byte_at(b + 128 + i / 128 * 32 + l) >> (quarter * 2) & 3u;
    precise float v = half_at(b + 208) * signed_at(b + 192 + i / 16);
    v = v * (float(low | high << 4) - 32.0);
#endif
    return v;
}

void main() {
    const uint index = invocation_index();
    if (index >= p.quads) return;
    const uint quad = p.first + index, k = quad / p.n_padded * 4, column = quad % p.n_padded;
    const uint row = p.geglu != 0 ? column % 4 / 2 * (p.n / 2) + column / 4 * 2 + column % 2 : column;
    vec4 v = vec4(0);
    if (row < p.n) {
        const uint block = row * p.row_bytes + k / QK * BYTES;
        for (uint i = 0; i < 4; ++i) v[i] = element(block, k % QK + i);
    }
    packed_quads[index] = store4(v);
}
