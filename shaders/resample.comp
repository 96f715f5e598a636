// One axis of a bicubic or Lanczos resampling: y[outer][i][inner] = sum over t of weight(t - centre(i)) x[outer][t][inner],
// divided by the weights' sum. The centre of output i is whole + (rest + i step) / unit samples, in integers, so that it
// is exact; samples stand at t + 0.5.
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(constant_id = 0) const uint METHOD = 0;  // pumice::ops::Resampling

layout(set = 0, binding = 0, std430) readonly buffer X { ACT4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { ACT4 y[]; };
layout(push_constant) uniform Push {
    uint x_base, y_base;              // quads
    uint quads, inner, count;         // of the output: all, quads of an element of the axis, elements of the axis
    uint x_count;                     // elements of the axis in x
    int x_first;                      // the sample that x begins with
    int whole;
    uint rest, step, unit;
    float support, inverse;           // half the window in samples; 1 / how much the filter is widened
};

float bicubic(float v) {
    precise float a = abs(v);
    precise float inside = ((1.5 * a - 2.5) * a) * a + 1.0;
    precise float outside = (((a - 5.0) * a + 8.0) * a - 4.0) * -0.5;
    return a < 1.0 ? inside : (a < 2.0 ? outside : 0.0);
}

float lanczos(float v) {
    precise float a = abs(v);
    precise float angle = 3.14159265 * a;
    precise float third = angle * 0.333333333;
    precise float square = angle * third;
    precise float top = exact_sin(angle) * exact_sin(third);
    precise float w = exact_div(top, square);
    return a < 1e-4 ? 1.0 : (a < 3.0 ? w : 0.0);
}

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    const uint k = i % inner, position = i / inner % count, outer = i / inner / count;
    const uint at = rest + position * step;
    const int base = whole + int(at / unit);
    precise float centre = exact_div(float(at % unit), float(unit));  // from base
    precise float low = floor(centre - support + 0.5);
    precise float high = floor(centre + support + 0.5);
    const int begin = clamp(base + int(low), x_first, x_first + int(x_count) - 1);
    const int end = clamp(base + int(high), begin + 1, x_first + int(x_count));
    precise vec4 sum = vec4(0);
    precise float total = 0.0;
    for (int t = begin; t < end; ++t) {
        precise float distance = (float(t - base) - centre + 0.5) * inverse;
        precise float w = METHOD == 0 ? bicubic(distance) : lanczos(distance);
        precise vec4 term = w * load4(x[x_base + (outer * x_count + uint(t - x_first)) * inner + k]);
        sum = sum + term;
        total = total + w;
    }
    precise float scale = exact_recip(total);
    precise vec4 value = sum * scale;
    y[y_base + i] = store4(value);
}
