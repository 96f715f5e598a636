// Convolution as implicit GEMM: the rows of x that a tap needs are found by index, zeros around the picture by test.
// y = activation(conv(x, w) + bias + channel_add) + residual. See include/tile_mma.glsl for the variants.
//@axis f32:ACT_F32 f16:ACT_F16
//@axis wf32:W_F32 wf16:W_F16 wbf16:W_BF16
//@axis exact:EXACT fast:
//@axis direct: wide:WIDE broadcast:BROADCAST shared:SHARED
//@skip f16 exact
#version 460
#extension GL_EXT_control_flow_attributes : require
#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#ifdef BROADCAST
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#extension GL_GOOGLE_include_directive : require

layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 0) const uint LANES_N = 8;
layout(constant_id = 1) const uint LANES_M = 1;
layout(constant_id = 2) const uint ACTIVATION = 0;  // pumice::ops::Activation, or 4: GEGLU

// A dispatch makes rows [out_y0, out_y0 + out_h) of each picture from rows of x of which the first bound is in_y0.
layout(push_constant) uniform Parameters {
    uint rows;     // M: output pixels
    uint quads;    // N / 4
    uint k_quads;  // input channels / 4
    uint x_base, y_base, residual_base, channel_add_base;  // quads
    int in_h, in_w;        // of the whole picture
    int in_y0;
    uint out_w, out_h;
    int out_y0;
    int pad_top, pad_left;
    uint taps, kernel_w;
    int stride;
    uint flags;  // include/epilogue.glsl
} p;

#define TAPS p.taps
#define CHANNEL_ADD
uint picture_quad(uint row) { return p.channel_add_base + row / (p.out_w * p.out_h) * p.quads; }

// x: the quad of the top left pixel under the kernel (it may lie outside: negative, or in another row); y: that
// pixel's coordinates, 16 bits each.
ivec2 row_origin(uint row) {
    const uint picture = row / (p.out_w * p.out_h), rest = row % (p.out_w * p.out_h);
    const int y = (p.out_y0 + int(rest / p.out_w)) * p.stride - p.pad_top;
    const int x = int(rest % p.out_w) * p.stride - p.pad_left;
    const int pixel = (int(picture) * p.in_h + y - p.in_y0) * p.in_w + x;
    return ivec2(int(p.x_base) + pixel * int(p.k_quads), y << 16 | (x & 0xffff));
}
bool row_source(ivec2 origin, uint tap, out uint at) {
    const int ky = int(tap / p.kernel_w), kx = int(tap % p.kernel_w);
    const int y = (origin.y >> 16) + ky, x = (origin.y << 16 >> 16) + kx;
    at = uint(origin.x + (ky * p.in_w + kx) * int(p.k_quads));
    return y >= 0 && y < p.in_h && x >= 0 && x < p.in_w;
}

#include "tile_mma.glsl"

void main() { tile_product(); }
