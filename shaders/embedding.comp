// Row of the table for each token plus the row of its position, and a row that all tokens get. The dispatch has rows [first_row, first_row + rows) of
// the table at hand and leaves other tokens alone.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "index.glsl"
#include "types.glsl"

layout(constant_id = 0) const uint TABLE_TYPE = 0;     // pumice::DType: f32, f16, bf16
layout(constant_id = 1) const uint POSITION_TYPE = 0;
layout(constant_id = 2) const uint COMMON_TYPE = 3;
const uint F16 = 1, BF16 = 2, NONE = 3;

layout(set = 0, binding = 0, std430) readonly buffer Tokens { int tokens[]; };
layout(set = 0, binding = 1, std430) readonly buffer Table { uint table[]; };
layout(set = 0, binding = 2, std430) readonly buffer Positions { uint positions[]; };
layout(set = 0, binding = 3, std430) readonly buffer Common { uint common_row[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint table_base;  // words
    uint first_row, rows;
    uint tokens_count, positions_count;
    uint channels4;
};

// Four elements of 16 bits from two words, or the bits of four floats.
vec4 unpack_row4(uvec4 words, uint type) {
    if (type == F16) return load4(words.xy);
    if (type == BF16)
        return uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
    return uintBitsToFloat(words);
}

void main() {
    const uint i = invocation_index();
    if (i >= tokens_count * channels4) return;
    const uint at = i / channels4, channel = i % channels4;
    const uint row = uint(tokens[at]) - first_row;
    if (row >= rows) return;
    const uint table_quad = row * channels4 + channel, position_quad = at % positions_count * channels4 + channel;
    uvec4 a = uvec4(0), b = uvec4(0);
    const uint a_words = TABLE_TYPE == 0 ? 4 : 2, b_words = POSITION_TYPE == 0 ? 4 : 2;
    for (uint w = 0; w < a_words; ++w) a[w] = table[table_base + table_quad * a_words + w];
    for (uint w = 0; w < b_words; ++w) b[w] = positions[position_quad * b_words + w];
    precise vec4 sum = unpack_row4(a, TABLE_TYPE) + unpack_row4(b, POSITION_TYPE);
    if (COMMON_TYPE != NONE) {
        uvec4 c = uvec4(0);
        const uint c_words = COMMON_TYPE == 0 ? 4 : 2;
        for (uint w = 0; w < c_words; ++w) c[w] = common_row[channel * c_words + w];
        sum = sum + unpack_row4(c, COMMON_TYPE);
    }
    y[i] = store4(sum);
}
