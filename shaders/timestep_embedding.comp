// Row n: cos(t f_i) for i in [0, half), then sin(t f_i); f_i = 10000^(-i / half). Always with our own functions: Vulkan
// promises nothing for the sine of a large angle.
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

layout(set = 0, binding = 0, std430) readonly buffer T { float t[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, frequencies; };

void main() {
    const uint i = invocation_index();
    if (i >= rows * frequencies) return;
    const uint row = i / frequencies, k = i % frequencies;
    precise float numerator = -9.21034037 * float(k);  // ln 10000
    precise float power = exact_div(numerator, float(frequencies));
    precise float angle = t[row] * exact_exp(power);
    y[row * 2 * frequencies + k] = exact_cos(angle);
    y[row * 2 * frequencies + frequencies + k] = exact_sin(angle);
}
