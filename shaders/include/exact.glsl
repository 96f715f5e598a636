// Special functions made of correctly rounded multiply and add, so that every driver returns the same bits: Vulkan
// promises that much for +, - and * of 32-bit floats, and neither for division, sqrt, exp, sin nor for fma.
//
// With EXACT defined, m_NAME is exact_NAME and PRECISE is `precise`; without, m_NAME is the built-in and PRECISE is
// empty. A caller must hold every intermediate value in a PRECISE variable of its own, arguments of functions too:
// `precise` does not reach through a call.
//
// This file is C++ as well (tests/ops/exact_reference.hpp): hence literals with f, and uint(), int(), float() casts.
// Polynomials: Chebyshev interpolation of the named function on the named interval, rounded to float.
// Nothing here depends on denormals: results below the smallest normal number are zero.
#ifndef PUMICE_EXACT_GLSL
#define PUMICE_EXACT_GLSL

#ifdef EXACT
#define PRECISE precise
#else
#define PRECISE
#endif

// condition ? a : b without a branch: a driver may spend minutes on branches among many live registers.
float pick(bool condition, float a, float b) { return mix(b, a, condition); }

// A whole number's integer; 0 for NaN and from 2^30 on, where int() has no defined value.
int exact_int(float n) { return int(pick(abs(n) < 1073741824.0f, n, 0.0f)); }

// 1/x to 1.1 ulp for 2^-125 <= |x| <= 2^125; NaN for NaN. The guess is the reversed exponent (12 % off); each Newton
// step squares its error.
float exact_recip(float x) {
    uint sign = floatBitsToUint(x) & 0x80000000u;
    precise float a = uintBitsToFloat(floatBitsToUint(x) & 0x7fffffffu);
    precise float y = uintBitsToFloat(0x7ef311c7u - floatBitsToUint(a));
    y = y * (2.0f - a * y);
    y = y * (2.0f - a * y);
    y = y * (2.0f - a * y);
    y = y + y * (1.0f - a * y);
    return uintBitsToFloat(floatBitsToUint(y) | sign);
}

// a/b to 2 ulp, b as for exact_recip.
float exact_div(float a, float b) {
    precise float q = a * exact_recip(b);
    return q;
}

// 1/sqrt(x) to 2 ulp for normal x > 0; finite for 0.
float exact_rsqrt(float x) {
    precise float y = uintBitsToFloat(0x5f3759dfu - (floatBitsToUint(x) >> 1));
    y = y * (1.5f - 0.5f * ((x * y) * y));
    y = y * (1.5f - 0.5f * ((x * y) * y));
    y = y * (1.5f - 0.5f * ((x * y) * y));
    y = y + y * (0.5f - 0.5f * ((x * y) * y));
    return y;
}

// sqrt(x) to 1 ulp for normal x > 0 and for 0.
float exact_sqrt(float x) {
    precise float y = exact_rsqrt(x);
    precise float s = x * y;
    s = s + 0.5f * y * (x - s * s);
    return s;
}

// exp(x) to 1.5 ulp; exp(88) above 88, 0 below -87, NaN for NaN. x = n ln2 + r, ln2 in two parts of which the first has 9 bits, so
// that n times it is without error; polynomial (exp(r) - 1 - r) / r^2 on [-ln2/2, ln2/2].
float exact_exp(float x) {
    precise float c = pick(x > 88.0f, 88.0f, pick(x < -87.0f, -87.0f, x));
    precise float n = floor(c * 1.44269502f + 0.5f);
    precise float r = (c - n * 0.693359375f) + n * 0.000212194442f;
    precise float p = 0.0013918773f;
    p = p * r + 0.00835724827f;
    p = p * r + 0.0416666232f;
    p = p * r + 0.166666314f;
    p = p * r + 0.5f;
    precise float e = 1.0f + (r + r * r * p);
    precise float y = e * uintBitsToFloat(uint(exact_int(n) + 127) << 23);
    return pick(x < -87.0f, 0.0f, y);
}

// (log(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1].
float exact_log_series(float f) {
    precise float p = 0.0697251856f;
    p = p * f - 0.114812121f;
    p = p * f + 0.116857849f;
    p = p * f - 0.124255233f;
    p = p * f + 0.142490074f;
    p = p * f - 0.166678071f;
    p = p * f + 0.20000717f;
    p = p * f - 0.24999997f;
    p = p * f + 0.333333313f;
    return p;
}
// log(1 + f) to 2 ulp for f in [sqrt(1/2) - 1, sqrt(2) - 1].
float exact_log1p(float f) {
    precise float z = f * f;
    precise float y = f + ((f * z) * exact_log_series(f) - 0.5f * z);
    return y;
}
// Natural logarithm to 2 ulp (1e-7 absolute near 1) of a normal x > 0. x = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)).
float exact_log(float x) {
    int n = (int(floatBitsToUint(x)) - 0x3f3504f3) >> 23;
    precise float f = uintBitsToFloat(floatBitsToUint(x) - (uint(n) << 23)) - 1.0f;
    precise float z = f * f;
    precise float k = float(n);
    precise float y = (f * z) * exact_log_series(f) - k * 0.000212194442f;
    y = y - 0.5f * z;
    y = f + y;
    y = y + k * 0.693359375f;
    return y;
}

// The nearest multiple of pi/2, and what is left of x, in [-pi/4, pi/4], exact to 1e-7 for |x| < 8192: pi/2 in three
// parts, of which the first two have 8 and 11 bits.
float exact_quarter_turns(float x) {
    precise float t = x * 0.636619747f + 0.5f;
    return floor(t);
}
float exact_angle_rest(float x, float turns) {
    precise float r = ((x - turns * 1.5703125f) - turns * 0.000483751296997f) - turns * 7.54979013e-08f;
    return r;
}

// sin(r), cos(r) on [-pi/4, pi/4]; polynomials (sin(r)/r - 1) / r^2 and (cos(r) - 1 + r^2/2) / r^4 in r^2.
float exact_sin_part(float r) {
    precise float z = r * r;
    precise float p = 2.72493139e-06f;
    p = p * z - 0.000198400827f;
    p = p * z + 0.00833333191f;
    p = p * z - 0.166666672f;
    precise float y = r + (r * z) * p;
    return y;
}
float exact_cos_part(float r) {
    precise float z = r * r;
    precise float p = 2.45474366e-05f;
    p = p * z - 0.00138883002f;
    p = p * z + 0.0416666642f;
    precise float y = (1.0f - 0.5f * z) + (z * z) * p;
    return y;
}

// sin(x), cos(x) to 2e-7 absolute for |x| < 8192.
float exact_sin(float x) {
    float turns = exact_quarter_turns(x);
    float r = exact_angle_rest(x, turns);
    int q = exact_int(turns) & 3;
    float y = pick((q & 1) == 0, exact_sin_part(r), exact_cos_part(r));
    return pick((q & 2) == 0, y, -y);
}
float exact_cos(float x) {
    float turns = exact_quarter_turns(x);
    float r = exact_angle_rest(x, turns);
    int q = exact_int(turns) & 3;
    float y = pick((q & 1) == 0, exact_cos_part(r), exact_sin_part(r));
    return pick(q == 0 || q == 3, y, -y);
}

// g(a) with erfc(a) = exp(-g(a)), on [1, 4].
float erfc_exponent(float a) {
    precise float t = a - 1.0f;
    precise float g = 1.33388703e-05f;
    g = g * t - 0.00022477837f;
    g = g * t + 0.00181281124f;
    g = g * t - 0.0097402297f;
    g = g * t + 0.0413207449f;
    g = g * t + 0.84319824f;
    g = g * t + 2.63895512f;
    g = g * t + 1.84960568f;
    return g;
}
// erf(x) from exp(-g(|x|)) where |x| >= 1 (clamped at 4, where erf is 1 - 1.5e-8), else from erf(x)/x in x^2.
float erf_join(float x, float complement) {
    precise float z = x * x;
    precise float p = 7.87587487e-05f;
    p = p * z - 0.00080168643f;
    p = p * z + 0.00518908724f;
    p = p * z - 0.0268542115f;
    p = p * z + 0.112835944f;
    p = p * z - 0.37612626f;
    p = p * z + 1.12837911f;
    precise float inner = p * x;
    precise float outer = 1.0f - complement;
    return pick(abs(x) < 1.0f, inner, pick(x < 0.0f, -outer, outer));
}

// erf(x) to 1.5e-7 absolute.
float exact_erf(float x) {
    float a = pick(abs(x) > 4.0f, 4.0f, abs(x));
    precise float g = -erfc_exponent(a);
    return pick(x != x, x, erf_join(x, exact_exp(g)));
}

// 1/(1 + exp(-x)); from exp(-|x|), so that nothing overflows or turns denormal.
float exact_sigmoid(float x) {
    float e = exact_exp(-abs(x));
    precise float d = 1.0f + e;
    precise float s = exact_recip(d);
    precise float t = e * s;
    return pick(x < 0.0f, t, s);
}
float exact_silu(float x) {
    precise float y = x * exact_sigmoid(x);
    return y;
}
// x Phi(x), the exact GELU (Hendrycks and Gimpel 2016), to 2e-7 |x|.
float exact_gelu(float x) {
    precise float t = x * 0.70710678f;
    precise float y = (0.5f * x) * (1.0f + exact_erf(t));
    return y;
}
// x sigmoid(1.702 x), CLIP's.
float exact_quick_gelu(float x) {
    precise float t = 1.702f * x;
    precise float y = x * exact_sigmoid(t);
    return y;
}

#ifndef __cplusplus
#ifdef EXACT
#define m_recip exact_recip
#define m_div exact_div
#define m_rsqrt exact_rsqrt
#define m_sqrt exact_sqrt
#define m_exp exact_exp
#define m_erf exact_erf
#define m_silu exact_silu
#define m_gelu exact_gelu
#define m_quick_gelu exact_quick_gelu
#else
#define m_recip(x) (1.0 / (x))
#define m_div(a, b) ((a) / (b))
#define m_rsqrt(x) inversesqrt(x)
#define m_sqrt(x) sqrt(x)
#define m_exp(x) exp(x)
float m_erf(float x) { return erf_join(x, exp(-erfc_exponent(min(abs(x), 4.0)))); }
float m_silu(float x) { return x / (1.0 + exp(-x)); }
float m_gelu(float x) { return 0.5 * x * (1.0 + m_erf(x * 0.70710678)); }
float m_quick_gelu(float x) { return x / (1.0 + exp(-1.702 * x)); }
#endif

// pumice::ops::Activation
const uint ACTIVATION_NONE = 0, ACTIVATION_SILU = 1, ACTIVATION_GELU = 2, ACTIVATION_QUICK_GELU = 3, ACTIVATION_RELU = 5;
const uint ACTIVATION_SLOPES = 16;  // from here on: the bits of a leaky ReLU's slope
float m_leaky_relu(float x, float slope) {
    PRECISE float y = slope * x;
    return x < 0.0 ? y : x;
}
// `kind` is a specialization constant where this is used: the branches fold.
float m_activation(float x, uint kind) {
    if (kind == ACTIVATION_SILU) return m_silu(x);
    if (kind == ACTIVATION_GELU) return m_gelu(x);
    if (kind == ACTIVATION_QUICK_GELU) return m_quick_gelu(x);
    if (kind == ACTIVATION_RELU) return x < 0.0 ? 0.0 : x;
    if (kind >= ACTIVATION_SLOPES) return m_leaky_relu(x, uintBitsToFloat(kind));
    return x;
}
vec4 m_activation(vec4 v, uint kind) {
    return vec4(m_activation(v.x, kind), m_activation(v.y, kind), m_activation(v.z, kind), m_activation(v.w, kind));
}
#endif

#endif
