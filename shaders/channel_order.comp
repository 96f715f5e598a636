// Moves four channels of a pixel between NCHW and NHWC, f32, one picture.
#version 460
//@axis to_nhwc:TO_NHWC to_nchw:
#include "index.glsl"

layout(set = 0, binding = 0, std430) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint x_base, y_base, pixels, channels; };

void main() {
    const uint i = invocation_index(), quads = channels / 4;
    if (i >= pixels * quads) return;
    const uint pixel = i / quads, channel = i % quads * 4;
    for (uint c = channel; c < channel + 4; ++c) {
        const uint nchw = c * pixels + pixel, nhwc = pixel * channels + c;
#ifdef TO_NHWC
        y[y_base + nhwc] = x[x_base + nchw];
#else
        y[y_base + nchw] = x[x_base + nhwc];
#endif
    }
}
