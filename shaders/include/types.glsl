// Storage of tensors: four channels to a load. f32 tensors are arrays of vec4, f16 tensors arrays of uvec2 (four
// halves), which needs no 16-bit storage feature. ACT4 is the element of an activation tensor: ACT_F16 or ACT_F32.
#ifndef PUMICE_TYPES_GLSL
#define PUMICE_TYPES_GLSL

// The two halves of a word. A driver may flush those below 2^-14, the smallest normal half: exact kernels convert with
// integers.
vec2 unpack_halves(uint v) {
#ifdef EXACT
    const uvec2 h = uvec2(v & 0xffffu, v >> 16), mantissa = h & 0x3ffu, exponent = (h >> 10) & 0x1fu;
    const uvec2 normal =
        ((exponent + mix(uvec2(112), uvec2(224), equal(exponent, uvec2(31)))) << 23) | (mantissa << 13);
    precise vec2 small = vec2(mantissa) * 5.9604644775390625e-08;  // 2^-24
    const uvec2 bits = mix(normal, floatBitsToUint(small), equal(exponent, uvec2(0)));
    return uintBitsToFloat(bits | ((h & 0x8000u) << 16));
#else
    return unpackHalf2x16(v);
#endif
}

vec4 load4(vec4 v) { return v; }
vec4 load4(uvec2 v) { return vec4(unpack_halves(v.x), unpack_halves(v.y)); }
uvec2 to_f16(vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }

#ifdef ACT_F16
#define ACT4 uvec2
#define store4(v) to_f16(v)
#else
#define ACT4 vec4
#define store4(v) (v)
#endif

#endif
