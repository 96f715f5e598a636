// Standard normal numbers as the CUDA generator gives them: Philox 4x32-10 (Salmon et al. 2011), key = seed, counter =
// (offset, 0, element, 0) with elements counted in NCHW order; Box-Muller of the first two words, sine half.
#version 460
#define EXACT
#include "exact.glsl"
#include "index.glsl"

layout(set = 0, binding = 0, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push {
    uint y_base;                // quads
    uint first_pixel, count;    // pixels of this dispatch
    uint pixels, channels;      // of the picture
    uint seed_low, seed_high, draw;
};

uvec2 philox(uint element) {
    uvec4 c = uvec4(draw, 0, element, 0);
    uvec2 key = uvec2(seed_low, seed_high);
    for (int round = 0; round < 10; ++round) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, c.x, high0, low0);
        umulExtended(0xCD9E8D57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c.xy;
}

// -log(u), u = (x + 1/2) / 2^32. Near 1 a float cannot hold u: there from 1 - u, by the logarithm's series.
float minus_log(uint x) {
    const bool upper = x >= 0xc0000000u;
    precise float distance = (float(upper ? ~x : x) + 0.5) * 2.3283064365386963e-10;  // 1 - u, or u
    precise float f = -distance;
    precise float near_one = -exact_log1p(f);
    precise float rest = -exact_log(distance);
    return upper ? near_one : rest;
}

// sin(2 pi (x + 1/2) / 2^32), from the top two bits' quadrant and the angle that is left, at most pi/4.
float sine_of_turn(uint x) {
    const uint turned = x + 0x20000000u, quadrant = turned >> 30;
    const int left = int(turned & 0x3fffffffu) - 0x20000000;
    precise float angle = (float(left) + 0.5) * 1.46291807926716e-09;  // 2 pi / 2^32
    precise float s = (quadrant & 1u) == 0 ? exact_sin_part(angle) : exact_cos_part(angle);
    return (quadrant & 2u) == 0 ? s : -s;
}

float normal(uint element) {
    const uvec2 words = philox(element);
    precise float square = 2.0 * minus_log(words.x);
    precise float value = exact_sqrt(square) * sine_of_turn(words.y);
    return value;
}

void main() {
    const uint i = invocation_index(), quads = channels / 4;
    if (i >= count * quads) return;
    const uint pixel = first_pixel + i / quads, channel = i % quads * 4;
    y[y_base + i] = vec4(normal(channel * pixels + pixel), normal((channel + 1) * pixels + pixel),
                         normal((channel + 2) * pixels + pixel), normal((channel + 3) * pixels + pixel));
}
