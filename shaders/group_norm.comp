// Group norm in three dispatches.
//   statistics  one invocation a chunk of pixels and a quad of channels: mean and squared differences of each channel
//   combine     one workgroup a picture and group: mean and variance of the group, hence factor and shift a channel
//   apply       y = x * factor + shift [silu]; one invocation a quad of channels and PIXELS pixels
// A chunk's length follows from the number of pixels (core/ops/group_norm.cpp), so all orders of summation are the
// tensor's own. Within a chunk values are taken relative to its first: the sum of squares then exceeds that of the
// differences at most (length + 1)-fold, which bounds what the subtraction loses. Chunks are combined mean first.
#version 460
//@axis f32:ACT_F32 f16:ACT_F16
//@axis exact:EXACT fast:
//@axis statistics:STATISTICS combine:COMBINE apply:APPLY
//@skip f16 exact
//@skip f16 combine
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"


#ifdef STATISTICS
layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Partial { vec4 partial[]; };  // [chunk][mean, squares][c]
layout(push_constant) uniform Push {
    uint x_base;            // quads; where the first chunk begins
    uint first_chunk, chunks;  // of this dispatch, counted over the batch
    uint chunks_a_picture, chunk_pixels, pixels;
    uint channels4;
};

void main() {
    const uint i = invocation_index();
    if (i >= chunks * channels4) return;
    const uint channel = i % channels4, chunk = first_chunk + i / channels4;
    const uint picture = chunk / chunks_a_picture, pixel = chunk % chunks_a_picture * chunk_pixels;
    const uint first_pixel = first_chunk / chunks_a_picture * pixels + first_chunk % chunks_a_picture * chunk_pixels;
    const uint at = x_base + (picture * pixels + pixel - first_pixel) * channels4 + channel;
    const uint count = min(chunk_pixels, pixels - pixel);

    PRECISE vec4 first = load4(x[at]), sum = vec4(0), squares = vec4(0);
    for (uint k = 1; k < count; ++k) {
        PRECISE vec4 d = load4(x[at + k * channels4]) - first;
        sum = sum + d;
        squares = squares + d * d;
    }
    PRECISE float n = float(count);
    PRECISE vec4 shift = sum * m_recip(n);
    PRECISE vec4 mean = first + shift;
    PRECISE vec4 differences = squares - sum * shift;
    partial[2 * chunk * channels4 + channel] = mean;
    partial[(2 * chunk + 1) * channels4 + channel] = differences;
}
#endif

#ifdef COMBINE
layout(set = 0, binding = 0, std430) readonly buffer Partial { float partial[]; };
layout(set = 0, binding = 1, std430) readonly buffer Gamma { float gamma[]; };
layout(set = 0, binding = 2, std430) readonly buffer Beta { float beta[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Table { float table[]; };  // [picture][factor, shift][c]
layout(push_constant) uniform Push {
    uint chunks_a_picture, chunk_pixels, pixels;
    uint channels, groups;
    float eps;
};

shared float values[gl_WorkGroupSize.x];

float sum_all(float v) {
    barrier();
    values[gl_LocalInvocationID.x] = v;
    barrier();
    PRECISE float sum = 0.0;
    for (uint i = 0; i < gl_WorkGroupSize.x; ++i) sum = sum + values[i];
    return sum;
}

// Each invocation sums a run of neighbouring chunks.
void main() {
    const uint picture = gl_WorkGroupID.x / groups, width = channels / groups;
    const uint first_channel = gl_WorkGroupID.x % groups * width;
    const uint run = (chunks_a_picture + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
    const uint begin = min(gl_LocalInvocationID.x * run, chunks_a_picture), end = min(begin + run, chunks_a_picture);
    PRECISE float elements = float(pixels) * float(width);
    PRECISE float per_element = m_recip(elements);

    PRECISE float sum = 0.0;
    for (uint k = begin; k < end; ++k) {
        const uint at = 2 * (picture * chunks_a_picture + k) * channels + first_channel;
        PRECISE float n = float(min(chunk_pixels, pixels - k * chunk_pixels));
        for (uint c = 0; c < width; ++c) sum = sum + n * partial[at + c];
    }
    PRECISE float mean = sum_all(sum) * per_element;

    PRECISE float squares = 0.0;
    for (uint k = begin; k < end; ++k) {
        const uint at = 2 * (picture * chunks_a_picture + k) * channels + first_channel;
        PRECISE float n = float(min(chunk_pixels, pixels - k * chunk_pixels));
        for (uint c = 0; c < width; ++c) {
            PRECISE float d = partial[at + c] - mean;
            squares = squares + (partial[at + channels + c] + n * (d * d));
        }
    }
    PRECISE float padded = sum_all(squares) * per_element + eps;
    PRECISE float inverse = m_rsqrt(padded);

    for (uint c = gl_LocalInvocationID.x; c < width; c += gl_WorkGroupSize.x) {
        const uint channel = first_channel + c;
        PRECISE float factor = gamma[channel] * inverse;
        PRECISE float shift = beta[channel] - mean * factor;
        table[2 * picture * channels + channel] = factor;
        table[(2 * picture + 1) * channels + channel] = shift;
    }
}
#endif

#ifdef APPLY
layout(constant_id = 0) const bool SILU = false;
layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Table { vec4 table[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;  // quads
    uint first_row, rows;  // pixels of this dispatch, counted over the batch
    uint pixels, channels4;
};

const uint PIXELS = 8;  // factor and shift are loaded once for these

void main() {
    const uint i = invocation_index();
    const uint channel = i % channels4, begin = i / channels4 * PIXELS, end = min(begin + PIXELS, rows);
    uint loaded = ~0u;
    PRECISE vec4 factor = vec4(0), shift = vec4(0);
    for (uint row = begin; row < end; ++row) {
        const uint picture = (first_row + row) / pixels;
        if (picture != loaded) {
            loaded = picture;
            factor = table[2 * picture * channels4 + channel];
            shift = table[(2 * picture + 1) * channels4 + channel];
        }
        PRECISE vec4 v = load4(x[x_base + row * channels4 + channel]) * factor + shift;
        if (SILU) v = m_activation(v, ACTIVATION_SILU);
        y[y_base + row * channels4 + channel] = store4(v);
    }
}
#endif
