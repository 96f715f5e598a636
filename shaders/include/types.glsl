// Storage of tensors: four channels to a load. f32 tensors are arrays of vec4, f16 tensors arrays of uvec2 (four
// halves), which needs no 16-bit storage feature. ACT4 is the element of an activation tensor: ACT_F16 or ACT_F32.
#ifndef PUMICE_TYPES_GLSL
#define PUMICE_TYPES_GLSL

vec4 load4(vec4 v) { return v; }
vec4 load4(uvec2 v) { return vec4(unpackHalf2x16(v.x), unpackHalf2x16(v.y)); }
uvec2 to_f16(vec4 v) { return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)); }

#ifdef ACT_F16
#define ACT4 uvec2
#define store4(v) to_f16(v)
#else
#define ACT4 vec4
#define store4(v) (v)
#endif

#endif
