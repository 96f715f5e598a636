// One invocation owns ROWS queries of one head and a chunk of at most 64 output columns of them; SPLIT invocations share
// a query where the head is larger. Keys go by in blocks of BLOCK * SPLIT: scores, online softmax (Milakov and
// Gimelshein 2018), accumulation in registers. Loads are few: a quad of K serves ROWS queries, a quad of V likewise.
//
// Exact: a score is summed over the head's channels in order, an output over the keys in order with a rescale at each
// block; blocks depend on the head size alone, never on the workgroup.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@axis rows1:ROWS=1 rows4:ROWS=4
//@skip f16 exact
#include "exact.glsl"
#include "types.glsl"

layout(local_size_x_id = 0, local_size_y_id = 1) in;  // queries / ROWS, SPLIT
layout(constant_id = 2) const uint HEAD4 = 10;   // quads of a head
layout(constant_id = 3) const uint CHUNK4 = 10;  // quads of it that one invocation owns, at most 16
layout(constant_id = 4) const bool CAUSAL = false;
const uint LANES = gl_WorkGroupSize.x;
const uint SPLIT = gl_WorkGroupSize.y;

layout(set = 0, binding = 0, std430) readonly buffer Q { ACT4 q[]; };
layout(set = 0, binding = 1, std430) readonly buffer K { ACT4 k[]; };
layout(set = 0, binding = 2, std430) readonly buffer V { ACT4 v[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Y { ACT4 y[]; };

layout(push_constant) uniform Push {
    uint q_base, k_base, v_base, y_base;  // quads
    uint row4;                            // quads of a token, all heads
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

// Statements for each row, key and quad, with literal indices: not every driver unrolls loops over local arrays.
#if ROWS == 1
#define EACH_ROW(M, a, b) M(0, a, b)
#else
#define EACH_ROW(M, a, b) M(0, a, b) M(1, a, b) M(2, a, b) M(3, a, b)
#endif
#define EACH_KEY(M, a) M(0, a) M(1, a) M(2, a) M(3, a) M(4, a) M(5, a) M(6, a) M(7, a)
#define EACH_QUAD(M) \
    M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)

// s += q . k, one channel after the other
#define SCORE_ROW(r, j, unused) \
    s[r][j] = s[r][j] + q4[r].x * k4.x; \
    s[r][j] = s[r][j] + q4[r].y * k4.y; \
    s[r][j] = s[r][j] + q4[r].z * k4.z; \
    s[r][j] = s[r][j] + q4[r].w * k4.w;
#define SCORE_KEY(j, unused) { \
    PRECISE vec4 k4 = load4(k[key_at[j] + i]); \
    EACH_ROW(SCORE_ROW, j, 0) }
#define LOAD_Q(r, unused, unused2) q4[r] = load4(q[query_at[r] + i]);

#define ZERO_SCORE(r, j, unused) s[r][j] = 0.0;
#define ZERO_KEY(j, unused) EACH_ROW(ZERO_SCORE, j, 0)

#define MASK_SCORE(r, j, unused) \
    s[r][j] = key0 + j < keys && (!CAUSAL || key0 + j <= first_query + query[r]) ? s[r][j] * unit : MASKED;
#define MASK_KEY(j, unused) EACH_ROW(MASK_SCORE, j, 0)
#define MAX_SCORE(r, j, unused) top[r] = max(top[r], s[r][j]);
#define MAX_KEY(j, unused) EACH_ROW(MAX_SCORE, j, 0)

#define WEIGH(r, j, unused) \
    s[r][j] = weight_of(s[r][j] - top[r]); \
    total[r] = total[r] + s[r][j];
#define WEIGH_KEY(j, unused) EACH_ROW(WEIGH, j, 0)

// o += weight * v, one key after the other
#define GATHER_ROW(r, i, j) o[r][i] = o[r][i] + s[r][j] * v4;
#define GATHER_KEY(j, i) { \
    PRECISE vec4 v4 = load4(v[value_at[j] + COLUMN(i)]); \
    EACH_ROW(GATHER_ROW, i, j) }
#define COLUMN(i) (CHUNK4 * SPLIT == HEAD4 ? chunk_at + i : min(chunk_at + i, HEAD4 - 1))
#define GATHER_QUAD(i) if (i < CHUNK4) { EACH_KEY(GATHER_KEY, i) }

#define RESCALE_ROW(r, i, unused) o[r][i] = o[r][i] * fade[r];
#define RESCALE_QUAD(i) if (i < CHUNK4) { EACH_ROW(RESCALE_ROW, i, 0) }
#define ZERO_ROW(r, i, unused) o[r][i] = vec4(0);
#define ZERO_QUAD(i) EACH_ROW(ZERO_ROW, i, 0)

#define KEY_AT(j, unused) key_at[j] = k_base + min(key0 + j, keys - 1) * row4 + head_at;
#define VALUE_AT(j, unused) value_at[j] = v_base + min(first + j, keys - 1) * row4 + head_at;

#define FADE(r, a, b) \
    fade[r] = weight_of(before[r] - top[r]); \
    total[r] = total[r] * fade[r];
#define RISEN(r, a, b) risen = risen || top[r] != before[r];

#define PUT(r, j, unused) shared_score[((part * BLOCK + j) * ROWS + r) * LANES + lane] = s[r][j];
#define PUT_KEY(j, unused) EACH_ROW(PUT, j, 0)
#define GET(r, j, unused) s[r][j] = shared_score[((t * BLOCK + j) * ROWS + r) * LANES + lane];
#define GET_KEY(j, unused) EACH_ROW(GET, j, 0)

void main() {
    const uint lane = gl_LocalInvocationID.x, part = gl_LocalInvocationID.y;
    const uint head_at = gl_WorkGroupID.y * HEAD4, chunk_at = part * CHUNK4;
    PRECISE float unit = scale * SCORE_UNIT;
    uint query[ROWS], query_at[ROWS], key_at[BLOCK], value_at[BLOCK];
    PRECISE float s[ROWS][BLOCK], top[ROWS], before[ROWS], fade[ROWS], total[ROWS];
    PRECISE vec4 q4[ROWS], o[ROWS][16];

    const uint tile = gl_WorkGroupID.x * LANES * ROWS;
#define START(r, a, b) \
    query[r] = min(tile + r * LANES + lane, queries - 1); \
    query_at[r] = q_base + query[r] * row4 + head_at; \
    top[r] = MASKED; \
    total[r] = 0.0;
    EACH_ROW(START, 0, 0)
    EACH_QUAD(ZERO_QUAD)

    const uint last_query = min(tile + ROWS * LANES, queries) - 1;
    const uint end = CAUSAL ? min(keys, first_query + last_query + 1) : keys;
    for (uint block = 0; block < end; block += BLOCK * SPLIT) {
        const uint key0 = block + part * BLOCK;
        EACH_KEY(KEY_AT, 0)
        EACH_KEY(ZERO_KEY, 0)
        for (uint i = 0; i < HEAD4; ++i) {
            EACH_ROW(LOAD_Q, 0, 0)
            EACH_KEY(SCORE_KEY, 0)
        }
        EACH_KEY(MASK_KEY, 0)
#define KEEP(r, a, b) before[r] = top[r];
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
            EACH_QUAD(RESCALE_QUAD)
        }
        if (SPLIT == 1) {
            const uint first = block;
            EACH_KEY(VALUE_AT, 0)
            EACH_KEY(WEIGH_KEY, 0)
            EACH_QUAD(GATHER_QUAD)
        } else {
            for (uint t = 0; t < SPLIT; ++t) {
                const uint first = block + t * BLOCK;
                EACH_KEY(VALUE_AT, 0)
                EACH_KEY(GET_KEY, 0)
                EACH_KEY(WEIGH_KEY, 0)
                EACH_QUAD(GATHER_QUAD)
            }
            barrier();
        }
    }

#define FINISH(r, a, b) \
    if (tile + r * LANES + lane < queries) { \
        const uint y_at = y_base + query[r] * row4 + head_at + chunk_at; \
        PRECISE float inverse = m_recip(total[r]); \
        EACH_QUAD(STORE_##r) \
    }
#define STORE(r, i) \
    if (i < CHUNK4 && chunk_at + i < HEAD4) { \
        PRECISE vec4 out4 = o[r][i] * inverse; \
        y[y_at + i] = store4(out4); \
    }
#define STORE_0(i) STORE(0, i)
#define STORE_1(i) STORE(1, i)
#define STORE_2(i) STORE(2, i)
#define STORE_3(i) STORE(3, i)
    EACH_ROW(FINISH, 0, 0)
}
