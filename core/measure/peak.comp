// What the device reaches when nothing is in the way: arithmetic out of registers, and a copy.
//   fma, muladd    16 independent chains an invocation (4 on the narrowest types), 2 FLOP an element and step; some
//                  drivers make one instruction of fma(), others of a multiplication and an addition
//   dot            the same with packed dot products of 4 x 8 bit, added to the chain (2 chains)
//   copy           one word an invocation: 16 bytes, or 32 where there are 64-bit integers
#version 460
//@axis fma_f32:FLOPS,FUSED muladd_f32:FLOPS fma_f16:FLOPS,FUSED,HALF muladd_f16:FLOPS,HALF dot_i8:DOT copy16:COPY copy32:COPY,WIDE
#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define NUMBER float16_t
#define NUMBERS f16vec4
#else
#define NUMBER float
#define NUMBERS vec4
#endif
#ifdef DOT
// OpSDot of SPV_KHR_integer_dot_product; older compilers have no name for it.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int packed_dot(int a, int b, spirv_literal int format);
#endif
#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define WORD u64vec4
#else
#define WORD uvec4
#endif
layout(local_size_x = 64) in;

layout(push_constant) uniform Push {
    uint count;  // rounds of 16 steps, or words
    float factor, addend;
};

#ifdef FLOPS
layout(set = 0, binding = 0, std430) writeonly buffer Y { float y[]; };

#ifdef FUSED
#define STEP(v) v = fma(v, f, a);
#else
#define STEP(v) v = v * f + a;
#endif
#define STEPS STEP(v0) STEP(v1)
#define FOUR(x) x x x x

void main() {
    const NUMBERS f = NUMBERS(factor), a = NUMBERS(addend);
    NUMBERS v0 = NUMBERS(gl_LocalInvocationID.x), v1 = v0 + NUMBERS(1);
    for (uint i = 0; i < count; ++i) {
        FOUR(FOUR(STEPS))
    }
    // Never stored, which the compiler cannot know.
    const NUMBERS sum = v0 + v1;
    if (sum.x + sum.y + sum.z + sum.w == NUMBER(12345)) y[gl_WorkGroupID.x] = float(sum.x);
}
#endif

#ifdef DOT
layout(set = 0, binding = 0, std430) writeonly buffer Y { int y[]; };

#define STEP(v) v += packed_dot(v, f, 0);
#define STEPS STEP(v0) STEP(v1)
#define FOUR(x) x x x x

void main() {
    const int f = floatBitsToInt(factor);
    int v0 = int(gl_LocalInvocationID.x), v1 = v0 + 1;
    for (uint i = 0; i < count; ++i) {
        FOUR(FOUR(STEPS))
    }
    if (v0 + v1 == 12345) y[gl_WorkGroupID.x] = v0;
}
#endif

#ifdef COPY
layout(set = 0, binding = 0, std430) readonly buffer X { WORD x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { WORD y[]; };

void main() {
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64 + gl_LocalInvocationID.x;
    if (i < count) y[i] = x[i];
}
#endif
