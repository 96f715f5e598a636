// The tiled matrix product of linear.comp and conv2d.comp. An invocation keeps TILE_ROWS x TILE_QUADS quads of the
// output in registers; a workgroup is LANES_N invocations along the columns and LANES_M along the rows.
//
//   (none)   every invocation loads what it needs; no shared memory, no barrier
//   WIDE     the same with 32-byte loads and twice the columns: for processors
//   BROADCAST  a workgroup is one subgroup along the columns; an invocation loads some of the tile's rows and hands them
//            round, for twice the rows. For processors: a load for all lanes costs as much as one that all share. With
//            a constant lane a shuffle stays in registers; on Mesa 22 a subgroupBroadcast does not.
//   SHARED   the workgroup brings BLOCK_QUADS quads of k at a time into shared memory as f32: for graphics cards
//
// The loop over the tile at the end is not unrolled, because the epilogue with its special functions is long; it picks
// the sum by comparison, because an array indexed by a variable would not stay in registers.
//
// Each output is one accumulator that runs over the taps and k in order, whatever the tile: with EXACT the result does
// not depend on the variant.
//
// The shader defines:
//   row_origin(row)               where the output row's input begins, as two numbers of its own making
//   row_source(origin, tap, at)   the quad of x where the tap's channels begin; false: outside of the picture
//   TAPS
#ifndef PUMICE_TILE_MMA_GLSL
#define PUMICE_TILE_MMA_GLSL
#include "epilogue.glsl"
#include "tile_load.glsl"

// core/ops/gemm.cpp counts with the same numbers.
#ifdef BROADCAST
#define TILE_ROWS 16
#else
#define TILE_ROWS 8
#endif
#ifdef WIDE
#define TILE_QUADS 2
#else
#define TILE_QUADS 1
#endif

#define MULTIPLY_ADD(sum, a, b)               \
    {                                         \
        PRECISE vec4 product_ = (a) * (b);    \
        PRECISE vec4 total_ = (sum) + product_; \
        sum = total_;                         \
    }
#define TILE_MMA(sum, a, block)          \
    MULTIPLY_ADD(sum, (a).x, (block)[0]) \
    MULTIPLY_ADD(sum, (a).y, (block)[1]) \
    MULTIPLY_ADD(sum, (a).z, (block)[2]) \
    MULTIPLY_ADD(sum, (a).w, (block)[3])

#ifdef SHARED

#define BLOCK_QUADS 4
const uint BLOCK_ROWS = LANES_M * TILE_ROWS;  // BM
const uint BLOCK_COLUMNS = LANES_N * 4;       // BN
const uint THREADS = LANES_M * LANES_N;

// Row r of the block belongs to invocation r % LANES_M, column c to invocation c / 4 and stands at
// (c % 4) * LANES_N + c / 4: invocations next to each other read words next to each other.
shared vec4 x_shared[BLOCK_QUADS * BLOCK_ROWS];
shared vec4 w_shared[BLOCK_QUADS * BLOCK_COLUMNS];
shared ivec2 origins[BLOCK_ROWS];

void load_x_block(uint tap, uint k0, uint depth) {
    for (uint t = gl_LocalInvocationIndex; t < BLOCK_QUADS * BLOCK_ROWS; t += THREADS) {
        const uint k = t % BLOCK_QUADS, row = t / BLOCK_QUADS;
        uint at;
        const bool inside = row_source(origins[row], tap, at) && k < depth;
        x_shared[k * BLOCK_ROWS + row] = inside ? x_quad(x_words[at + k0 + k], 0) : vec4(0);
    }
}

void load_w_block(uint tap, uint k0, uint depth, uint column0) {
    for (uint t = gl_LocalInvocationIndex; t < BLOCK_QUADS * LANES_N; t += THREADS) {
        const uint k = t / LANES_N, lane = t % LANES_N;
        const uint column = min(column0 + lane, p.quads - 1);
        mat4 block = mat4(0);
        if (k < depth) block = w_block(tap * p.k_quads + k0 + k, column);
        // Element i of the block is value i of k for four columns, just as the product takes it.
        for (uint i = 0; i < 4; ++i) w_shared[k * BLOCK_COLUMNS + i * LANES_N + lane] = block[i];
    }
}

void tile_product() {
    const uint lane_n = gl_LocalInvocationID.x, lane_m = gl_LocalInvocationID.y;
    const uint row0 = gl_WorkGroupID.x * BLOCK_ROWS, column0 = gl_WorkGroupID.y * LANES_N;
    vec4 sum[TILE_ROWS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) sum[i] = vec4(0);
    for (uint r = gl_LocalInvocationIndex; r < BLOCK_ROWS; r += THREADS)
        origins[r] = row_origin(min(row0 + r, p.rows - 1));
    barrier();

    for (uint tap = 0; tap < TAPS; ++tap) {
        for (uint k0 = 0; k0 < p.k_quads; k0 += BLOCK_QUADS) {
            const uint depth = min(BLOCK_QUADS, p.k_quads - k0);
            load_x_block(tap, k0, depth);
            load_w_block(tap, k0, depth, column0);
            barrier();
            for (uint k = 0; k < depth; ++k) {
                mat4 block;
                [[unroll]] for (uint i = 0; i < 4; ++i)
                    block[i] = w_shared[k * BLOCK_COLUMNS + i * LANES_N + lane_n];
                [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
                    const vec4 a = x_shared[k * BLOCK_ROWS + i * LANES_M + lane_m];
                    TILE_MMA(sum[i], a, block)
                }
            }
            barrier();
        }
    }
    const uint column = column0 + lane_n;
    if (column >= p.quads) return;
    for (uint i = 0; i < TILE_ROWS; ++i) {
        const uint row = row0 + i * LANES_M + lane_m;
        vec4 v = sum[0];
        [[unroll]] for (uint s = 1; s < TILE_ROWS; ++s) v = s == i ? sum[s] : v;
        if (row < p.rows) store_tile(row, column, v);
    }
}

#elif defined(BROADCAST)

const uint OWN_ROWS = (TILE_ROWS + LANES_N - 1) / LANES_N;

void tile_product() {
    const uint lane = gl_SubgroupInvocationID;
    const uint row0 = gl_WorkGroupID.x * TILE_ROWS, column = gl_WorkGroupID.y * LANES_N + lane;
    // All invocations go on to the end, those beyond the last column too: their rows are needed.
    const uint read_column = min(column, p.quads - 1);
    vec4 sum[TILE_ROWS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) sum[i] = vec4(0);
    ivec2 origin[OWN_ROWS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i) origin[i] = row_origin(min(row0 + i * LANES_N + lane, p.rows - 1));

    for (uint tap = 0; tap < TAPS; ++tap) {
        uint source[OWN_ROWS];
        bool inside[OWN_ROWS];
        [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i) {
            uint at;
            inside[i] = row_source(origin[i], tap, at);
            source[i] = inside[i] ? at : 0;
        }
        for (uint k = 0; k < p.k_quads; ++k) {
            vec4 own[OWN_ROWS];
            [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i)
                own[i] = x_quad(x_keep(x_words[source[i] + k], inside[i]), 0);
            const mat4 block = w_block(tap * p.k_quads + k, read_column);
            [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
                const vec4 a = subgroupShuffle(own[i / LANES_N], i % LANES_N);
                TILE_MMA(sum[i], a, block)
            }
        }
    }
    for (uint i = 0; i < TILE_ROWS; ++i) {
        vec4 v = sum[0];
        [[unroll]] for (uint s = 1; s < TILE_ROWS; ++s) v = s == i ? sum[s] : v;
        if (row0 + i < p.rows && column < p.quads) store_tile(row0 + i, column, v);
    }
}

#else

void tile_product() {
    const uint column0 = (gl_WorkGroupID.y * LANES_N + gl_LocalInvocationID.x) * TILE_QUADS;
    const uint row0 = (gl_WorkGroupID.x * LANES_M + gl_LocalInvocationID.y) * TILE_ROWS;
    if (column0 >= p.quads || row0 >= p.rows) return;

    vec4 sum[TILE_ROWS][TILE_QUADS];
    ivec2 origin[TILE_ROWS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
        [[unroll]] for (uint q = 0; q < TILE_QUADS; ++q) sum[i][q] = vec4(0);
        origin[i] = row_origin(min(row0 + i, p.rows - 1));
    }

    for (uint tap = 0; tap < TAPS; ++tap) {
        uint source[TILE_ROWS];
        bool inside[TILE_ROWS];
        [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
            uint at;
            inside[i] = row_source(origin[i], tap, at);
            source[i] = inside[i] ? at / X_QUADS : 0;
        }
        for (uint k = 0; k < p.k_quads / X_QUADS; ++k) {
            XWORD x[TILE_ROWS];
            [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) x[i] = x_keep(x_words[source[i] + k], inside[i]);
            [[unroll]] for (uint j = 0; j < X_QUADS; ++j) {
                [[unroll]] for (uint q = 0; q < TILE_QUADS; ++q) {
                    const mat4 block =
                        w_block(tap * p.k_quads + k * X_QUADS + j, min(column0 + q, p.quads - 1));
                    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i) {
                        const vec4 a = x_quad(x[i], j);
                        TILE_MMA(sum[i][q], a, block)
                    }
                }
            }
        }
    }
    for (uint i = 0; i < TILE_ROWS * TILE_QUADS; ++i) {
        const uint row = row0 + i / TILE_QUADS, column = column0 + i % TILE_QUADS;
        vec4 v = sum[0][0];
        [[unroll]] for (uint s = 1; s < TILE_ROWS * TILE_QUADS; ++s)
            v = s == i ? sum[s / TILE_QUADS][s % TILE_QUADS] : v;
        if (row < p.rows && column < p.quads) store_tile(row, column, v);
    }
}

#endif
#endif
