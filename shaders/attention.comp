// One invocation owns ROWS queries of one head and a chunk of at most 64 output columns of them; SPLIT invocations share
// a query where the head is larger. Keys go by in blocks of BLOCK * SPLIT: scores, online softmax (Milakov and
// Gimelshein 2018), accumulation in registers. Loads are few: a word of K serves ROWS queries, a word of V likewise.
//
//   PAIR    a word is two quads of channels, else one. On a processor a load costs by the instruction, not by the byte.
//   HANDED  LANES is the subgroup's size and BLOCK: an invocation loads the words of one key and hands them round, instead
//           of all loading each.
//
// Exact: a score is summed over the head's channels in order, an output over the keys in order with a rescale at each
// block; blocks depend on the head size alone, never on the workgroup.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@axis rows1:ROWS=1 rows4:ROWS=4
//@axis quad: pair:PAIR
//@axis each: handed:HANDED
//@skip f16 exact
//@skip f32 rows1 pair
//@skip rows1 handed
#ifdef HANDED
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#if defined(PAIR) && !defined(ACT_F16)
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#include "exact.glsl"
#include "types.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;  // LANES, SPLIT
layout(constant_id = 2) const uint HEAD = 10;   // words of a head
layout(constant_id = 3) const uint CHUNK = 10;  // words of it that one invocation owns, at most 64 channels
layout(constant_id = 4) const bool CAUSAL = false;
const uint LANES = gl_WorkGroupSize.x;
const uint SPLIT = gl_WorkGroupSize.y;

#ifndef PAIR
#define WORD ACT4
#define SECOND(x)
vec4 first_quad(WORD w) { return load4(w); }
WORD to_word(vec4 a, vec4 b) { return store4(a); }
#elif defined(ACT_F16)
#define WORD uvec4
#define SECOND(x) x
vec4 first_quad(WORD w) { return load4(w.xy); }
vec4 second_quad(WORD w) { return load4(w.zw); }
WORD to_word(vec4 a, vec4 b) { return uvec4(to_f16(a), to_f16(b)); }
#else
#define WORD u64vec4
#define SECOND(x) x
vec4 first_quad(WORD w) { return uintBitsToFloat(uvec4(unpackUint2x32(w.x), unpackUint2x32(w.y))); }
vec4 second_quad(WORD w) { return uintBitsToFloat(uvec4(unpackUint2x32(w.z), unpackUint2x32(w.w))); }
uint64_t pack2(vec2 v) { return packUint2x32(floatBitsToUint(v)); }
WORD to_word(vec4 a, vec4 b) { return WORD(pack2(a.xy), pack2(a.zw), pack2(b.xy), pack2(b.zw)); }
#endif

layout(set = 0, binding = 0, std430) readonly buffer Q { WORD q[]; };
layout(set = 0, binding = 1, std430) readonly buffer K { WORD k[]; };
layout(set = 0, binding = 2, std430) readonly buffer V { WORD v[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { WORD y[]; };

layout(push_constant) uniform Push {
    uint q_base, k_base, v_base, y_base;  // words
    uint row_words;                       // of a token, all heads
    uint queries;                         // tokens in this dispatch
    uint first_query;                     // position of the first, for the causal mask
    uint keys;
    float scale;
};

const uint BLOCK = 8;
const float MASKED = -1e30;

// The scores' unit: base 2 where exp2 is the cheaper built-in.
#ifdef EXACT
#define SCORE_UNIT 1.0
#define weight_of(x) exact_exp(x)
#else
#define SCORE_UNIT 1.44269504
#define weight_of(x) exp2(x)
#endif

shared float shared_score[SPLIT > 1 ? SPLIT * BLOCK * LANES * ROWS : 1];

// Statements for each row, key and word, with literal indices: not every driver unrolls loops over local arrays.
#if ROWS == 1
#define EACH_ROW(M, a, b) M(0, a, b)
#else
#define EACH_ROW(M, a, b) M(0, a, b) M(1, a, b) M(2, a, b) M(3, a, b)
#endif
#define EACH_KEY(M, a) M(0, a) M(1, a) M(2, a) M(3, a) M(4, a) M(5, a) M(6, a) M(7, a)
#ifdef PAIR
#define EACH_WORD(M, a) M(0, a) M(1, a) M(2, a) M(3, a) M(4, a) M(5, a) M(6, a) M(7, a)
#else
#define EACH_WORD(M, a) \
    M(0, a) M(1, a) M(2, a) M(3, a) M(4, a) M(5, a) M(6, a) M(7, a) \
    M(8, a) M(9, a) M(10, a) M(11, a) M(12, a) M(13, a) M(14, a) M(15, a)
#endif

// s += q . k, one channel after the other
#define SCORE_QUAD(r, j, quad, k4) \
    s[r][j] = s[r][j] + quad[r].x * k4.x; \
    s[r][j] = s[r][j] + quad[r].y * k4.y; \
    s[r][j] = s[r][j] + quad[r].z * k4.z; \
    s[r][j] = s[r][j] + quad[r].w * k4.w;
#define SCORE_ROW(r, j, unused) \
    SCORE_QUAD(r, j, q_first, k_first) \
    SECOND(SCORE_QUAD(r, j, q_second, k_second))
#ifdef HANDED
#define LOAD_KEYS \
    const WORD key_word = k[own_key_at + i]; \
    const vec4 key_first = first_quad(key_word); \
    SECOND(const vec4 key_second = second_quad(key_word);)
#define GET_KEY_WORD(j) \
    PRECISE vec4 k_first = subgroupShuffle(key_first, j); \
    SECOND(PRECISE vec4 k_second = subgroupShuffle(key_second, j);)
#define LOAD_VALUES(i) \
    const WORD value_word = v[own_value_at + COLUMN(i)]; \
    const vec4 value_first = first_quad(value_word); \
    SECOND(const vec4 value_second = second_quad(value_word);)
#define GET_VALUE_WORD(j, i) \
    PRECISE vec4 v_first = subgroupShuffle(value_first, j); \
    SECOND(PRECISE vec4 v_second = subgroupShuffle(value_second, j);)
#else
#define LOAD_KEYS
#define GET_KEY_WORD(j) \
    const WORD word = k[key_at[j] + i]; \
    PRECISE vec4 k_first = first_quad(word); \
    SECOND(PRECISE vec4 k_second = second_quad(word);)
#define LOAD_VALUES(i)
#define GET_VALUE_WORD(j, i) \
    const WORD word = v[value_at[j] + COLUMN(i)]; \
    PRECISE vec4 v_first = first_quad(word); \
    SECOND(PRECISE vec4 v_second = second_quad(word);)
#endif
#define SCORE_KEY(j, unused) { \
    GET_KEY_WORD(j) \
    EACH_ROW(SCORE_ROW, j, 0) }
#define LOAD_Q(r, unused, unused2) { \
    const WORD word = q[query_at[r] + i]; \
    q_first[r] = first_quad(word); \
    SECOND(q_second[r] = second_quad(word);) }

#define ZERO_SCORE(r, j, unused) s[r][j] = 0.0;
#define ZERO_KEY(j, unused) EACH_ROW(ZERO_SCORE, j, 0)

#define MASK_SCORE(r, j, unused) \
    s[r][j] = key0 + j < keys && (!CAUSAL || key0 + j <= first_query + query[r]) ? s[r][j] * unit : MASKED;
#define MASK_KEY(j, unused) EACH_ROW(MASK_SCORE, j, 0)
#define MAX_SCORE(r, j, unused) top[r] = max(top[r], s[r][j]);
#define MAX_KEY(j, unused) EACH_ROW(MAX_SCORE, j, 0)

#define WEIGH(r, j, unused) { \
    PRECISE float below = s[r][j] - top[r]; \
    s[r][j] = weight_of(below); \
    total[r] = total[r] + s[r][j]; }
#define WEIGH_KEY(j, unused) EACH_ROW(WEIGH, j, 0)

// o += weight * v, one key after the other
#define GATHER_ROW(r, j, i) \
    o_first[r][i] = o_first[r][i] + s[r][j] * v_first; \
    SECOND(o_second[r][i] = o_second[r][i] + s[r][j] * v_second;)
#define GATHER_KEY(j, i) { \
    GET_VALUE_WORD(j, i) \
    EACH_ROW(GATHER_ROW, j, i) }
#define COLUMN(i) (CHUNK * SPLIT == HEAD ? chunk_at + i : min(chunk_at + i, HEAD - 1))
#define GATHER_WORD(i, unused) if (i < CHUNK) { LOAD_VALUES(i) EACH_KEY(GATHER_KEY, i) }

#define FADE_ROW(r, i, unused) \
    o_first[r][i] = o_first[r][i] * fade[r]; \
    SECOND(o_second[r][i] = o_second[r][i] * fade[r];)
#define FADE_WORD(i, unused) if (i < CHUNK) { EACH_ROW(FADE_ROW, i, 0) }
#define ZERO_ROW(r, i, unused) \
    o_first[r][i] = vec4(0); \
    SECOND(o_second[r][i] = vec4(0);)
#define ZERO_WORD(i, unused) EACH_ROW(ZERO_ROW, i, 0)

#ifdef HANDED
#define KEYS_AT const uint own_key_at = k_base + min(key0 + lane, keys - 1) * row_words + head_at;
#define VALUES_AT const uint own_value_at = v_base + min(first + lane, keys - 1) * row_words + head_at;
#else
#define KEY_AT(j, unused) key_at[j] = k_base + min(key0 + j, keys - 1) * row_words + head_at;
#define VALUE_AT(j, unused) value_at[j] = v_base + min(first + j, keys - 1) * row_words + head_at;
#define KEYS_AT uint key_at[BLOCK]; EACH_KEY(KEY_AT, 0)
#define VALUES_AT uint value_at[BLOCK]; EACH_KEY(VALUE_AT, 0)
#endif

#define KEEP(r, a, b) before[r] = top[r];
#define RISEN(r, a, b) risen = risen || top[r] != before[r];
#define FADE(r, a, b) { \
    PRECISE float below = before[r] - top[r]; \
    fade[r] = weight_of(below); \
    total[r] = total[r] * fade[r]; }

#define PUT(r, j, unused) shared_score[((part * BLOCK + j) * ROWS + r) * LANES + lane] = s[r][j];
#define PUT_KEY(j, unused) EACH_ROW(PUT, j, 0)
#define GET(r, j, unused) s[r][j] = shared_score[((t * BLOCK + j) * ROWS + r) * LANES + lane];
#define GET_KEY(j, unused) EACH_ROW(GET, j, 0)

#define START(r, a, b) \
    query[r] = min(tile + r * LANES + lane, queries - 1); \
    query_at[r] = q_base + query[r] * row_words + head_at; \
    top[r] = MASKED; \
    total[r] = 0.0;
#define STORE(i, r) if (i < CHUNK && chunk_at + i < HEAD) { \
    PRECISE vec4 y_first = o_first[r][i] * inverse, y_second = y_first; \
    SECOND(y_second = o_second[r][i] * inverse;) \
    y[y_at + i] = to_word(y_first, y_second); }
#define FINISH(r, a, b) if (tile + r * LANES + lane < queries) { \
    const uint y_at = y_base + query[r] * row_words + head_at + chunk_at; \
    PRECISE float inverse = m_recip(total[r]); \
    EACH_WORD(STORE, r) }

void main() {
#ifdef HANDED
    const uint lane = gl_SubgroupInvocationID;  // a subgroup is a row of the workgroup
#else
    const uint lane = gl_LocalInvocationID.x;
#endif
    const uint part = gl_LocalInvocationID.y;
    const uint head_at = gl_WorkGroupID.y * HEAD, chunk_at = part * CHUNK;
    PRECISE float unit = scale * SCORE_UNIT;
    uint query[ROWS], query_at[ROWS];
    PRECISE float s[ROWS][BLOCK], top[ROWS], before[ROWS], fade[ROWS], total[ROWS];
    PRECISE vec4 q_first[ROWS], o_first[ROWS][16];
    SECOND(PRECISE vec4 q_second[ROWS]; PRECISE vec4 o_second[ROWS][8];)

    const uint tile = gl_WorkGroupID.x * LANES * ROWS;
    EACH_ROW(START, 0, 0)
    EACH_WORD(ZERO_WORD, 0)

    const uint last_query = min(tile + ROWS * LANES, queries) - 1;
    const uint end = CAUSAL ? min(keys, first_query + last_query + 1) : keys;
    for (uint block = 0; block < end; block += BLOCK * SPLIT) {
        const uint key0 = block + part * BLOCK;
        KEYS_AT
        EACH_KEY(ZERO_KEY, 0)
        for (uint i = 0; i < HEAD; ++i) {
            EACH_ROW(LOAD_Q, 0, 0)
            LOAD_KEYS
            EACH_KEY(SCORE_KEY, 0)
        }
        EACH_KEY(MASK_KEY, 0)
        EACH_ROW(KEEP, 0, 0)
        if (SPLIT == 1) {
            EACH_KEY(MAX_KEY, 0)
        } else {
            EACH_KEY(PUT_KEY, 0)
            barrier();
            for (uint t = 0; t < SPLIT; ++t) {
                EACH_KEY(GET_KEY, 0)
                EACH_KEY(MAX_KEY, 0)
            }
        }
        bool risen = false;
        EACH_ROW(RISEN, 0, 0)
        if (risen) {
            EACH_ROW(FADE, 0, 0)
            EACH_WORD(FADE_WORD, 0)
        }
        if (SPLIT == 1) {
            const uint first = block;
            VALUES_AT
            EACH_KEY(WEIGH_KEY, 0)
            EACH_WORD(GATHER_WORD, 0)
        } else {
            for (uint t = 0; t < SPLIT; ++t) {
                const uint first = block + t * BLOCK;
                VALUES_AT
                EACH_KEY(GET_KEY, 0)
                EACH_KEY(WEIGH_KEY, 0)
                EACH_WORD(GATHER_WORD, 0)
            }
            barrier();
        }
    }
    EACH_ROW(FINISH, 0, 0)
}
