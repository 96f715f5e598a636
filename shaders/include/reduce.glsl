// Sums and maxima over rows of LANES neighbouring invocations, in a fixed order, through shared memory: neither the
// subgroup's nor the workgroup's size has a say in the result. Every invocation of the workgroup must take part.
#ifndef PUMICE_REDUCE_GLSL
#define PUMICE_REDUCE_GLSL

const uint LANES = 8;

shared float reduce_values[gl_WorkGroupSize.x];

void reduce_share(float v) {
    barrier();  // the values of the reduction before have been read
    reduce_values[gl_LocalInvocationID.x] = v;
    barrier();
}

float row_sum(float v) {
    reduce_share(v);
    const uint row = gl_LocalInvocationID.x / LANES * LANES;
    PRECISE float sum = reduce_values[row];
    for (uint i = 1; i < LANES; ++i) sum = sum + reduce_values[row + i];
    return sum;
}

float row_max(float v) {
    reduce_share(v);
    const uint row = gl_LocalInvocationID.x / LANES * LANES;
    float top = reduce_values[row];
    for (uint i = 1; i < LANES; ++i) top = max(top, reduce_values[row + i]);
    return top;
}

#endif
