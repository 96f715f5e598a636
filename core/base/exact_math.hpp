// Elementary functions that give the same bits with every compiler, C library and processor: made of correctly
// rounded + - * / in double, comparisons and integer operations only. Whatever the host computes for a picture (noise,
// noise levels, coefficients of samplers) uses these instead of libm. Build with -ffp-contract=off.
//
// Accurate to about one unit in the last place of double; tests/base/exact_math_test.cpp measures it. Special values as
// in C (Annex F). There is no errno and no exception flag to rely on.
#pragma once

namespace pumice::exact {

double exp(double x);
double exp2(double x);
/// exp(x) - 1 without cancellation near 0.
double expm1(double x);
double log(double x);
double log2(double x);
double pow(double x, double y);

/// |x| up to 1e6, NaN beyond: the range reduction is made for phases, not for astronomical angles.
double sin(double x);
double cos(double x);
/// The angle in [0, pi] whose cosine is x in [-1, 1], NaN beyond.
double acos(double x);

}  // namespace pumice::exact
