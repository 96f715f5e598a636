// shaders/include/exact.glsl compiled as C++: what an exact kernel must return, bit for bit. Needs -ffp-contract=off
// (x86-64 and AArch64 then round every multiply and add, as Vulkan's `precise` does).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace pumice::ops {

/// The functions as members, because GLSL has no word for `inline`.
struct ExactFunctions {
    using uint = std::uint32_t;
    static float uintBitsToFloat(uint v) { return std::bit_cast<float>(v); }
    static uint floatBitsToUint(float v) { return std::bit_cast<uint>(v); }
    static float abs(float v) { return std::fabs(v); }
    static float floor(float v) { return std::floor(v); }
    static float mix(float a, float b, bool second) { return second ? b : a; }

#define precise
#include "../../shaders/include/exact.glsl"
#undef precise
};

}  // namespace pumice::ops
