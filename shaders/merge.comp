// What an adapter changes in a weight, in f32 and in the file's order: rows of m = k * taps elements, element
// (row, c, tap) at row * m + c * taps + tap. Merging is done once before the steps, so the exact form serves all.
//
// apply: w += factor * delta, or with magnitudes (DoRA, Liu et al. 2024, arXiv 2402.09353)
//        w += strength * ((w + factor * delta) * ratio - w)
// ratio: the magnitudes over the lengths they are to replace, of rows of w or of the input channels of w + factor * delta.
#version 460
//@axis apply: ratio:RATIO
#define EXACT
#include "exact.glsl"
#include "index.glsl"

const uint LOW_RANK = 0, HADAMARD = 1, KRONECKER = 2, DIFFERENCE = 3, ROWS = 4, COLUMNS = 5;
const uint NO_MAGNITUDES = 0, OF_ROWS = 1, OF_CHANNELS = 2;
layout(constant_id = 0) const uint KIND = LOW_RANK;
layout(constant_id = 1) const uint MAGNITUDES = NO_MAGNITUDES;

#ifdef RATIO
layout(set = 0, binding = 0, std430) readonly buffer Weight { float w[]; };
layout(set = 0, binding = 1, std430) readonly buffer Factors { float f[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Ratios { float ratios[]; };
#else
layout(set = 0, binding = 0, std430) buffer Weight { float w[]; };
layout(set = 0, binding = 1, std430) readonly buffer Factors { float f[]; };
layout(set = 0, binding = 2, std430) readonly buffer Ratios { float ratios[]; };
#endif
layout(push_constant) uniform Push {
    uint row0;         // of the weight, where the adapter's rows begin
    uint first, rows;  // of the adapter: those of this dispatch
    uint m, taps;
    uint a, b, c, d;   // where the factors begin
    uint magnitudes;
    uint rank, rank2;        // Kronecker: columns of a, and of b without taps
    uint b_rows;             // Kronecker
    float factor, strength;
    uint all_rows;           // of the adapter
} p;

float product(uint left, uint right, uint rank, uint row, uint column) {
    precise float sum = 0;
    for (uint i = 0; i < rank; ++i) {
        precise float term = f[left + row * rank + i] * f[right + i * p.m + column];
        sum = sum + term;
    }
    return sum;
}

float delta(uint row, uint column, float value) {
    precise float result = 0;
    if (KIND == LOW_RANK) result = product(p.a, p.b, p.rank, row, column);
    if (KIND == HADAMARD) {
        precise float left = product(p.a, p.b, p.rank, row, column), right = product(p.c, p.d, p.rank2, row, column);
        result = left * right;
    }
    if (KIND == KRONECKER) {
        const uint channel = column / p.taps, tap = column % p.taps;
        result = f[p.a + (row / p.b_rows) * p.rank + channel / p.rank2] *
                 f[p.b + ((row % p.b_rows) * p.rank2 + channel % p.rank2) * p.taps + tap];
    }
    if (KIND == DIFFERENCE) result = f[p.a + row * p.m + column];
    if (KIND == ROWS) result = value * f[p.a + row];
    if (KIND == COLUMNS) result = value * f[p.a + column / p.taps];
    return result;
}

float changed(uint row, uint column) {
    precise float value = w[(p.row0 + row) * p.m + column];
    precise float change = delta(row, column, value);
    precise float scaled = p.factor * change;
    precise float result = value + scaled;
    return result;
}

void main() {
#ifdef RATIO
    // One invocation a length; every sum in one order.
    const uint i = p.first + invocation_index();
    if (i >= p.first + p.rows) return;
    precise float squares = 0;
    if (MAGNITUDES == OF_ROWS) {
        for (uint column = 0; column < p.m; ++column) {
            precise float value = w[(p.row0 + i) * p.m + column];
            precise float square = value * value;
            squares = squares + square;
        }
    } else {
        for (uint row = 0; row < p.all_rows; ++row)
            for (uint tap = 0; tap < p.taps; ++tap) {
                precise float value = changed(row, i * p.taps + tap);
                precise float square = value * value;
                squares = squares + square;
            }
    }
    precise float root = exact_sqrt(squares);
    precise float length = root + 1.1920929e-07f;  // as the reference: the distance of 1 to the next float
    precise float magnitude = f[p.magnitudes + i];
    ratios[i] = exact_div(magnitude, length);
#else
    const uint i = invocation_index();
    if (i >= p.rows * p.m) return;
    const uint row = p.first + i / p.m, column = i % p.m;
    const uint at = (p.row0 + row) * p.m + column;
    precise float result = changed(row, column);
    if (MAGNITUDES != NO_MAGNITUDES) {
        precise float value = w[at];
        precise float ratio = ratios[MAGNITUDES == OF_ROWS ? row : column / p.taps];
        precise float turned = result * ratio;
        precise float change = turned - value;
        precise float scaled = p.strength * change;
        result = value + scaled;
    }
    w[at] = result;
#endif
}
