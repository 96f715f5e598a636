/* "pumice.math/1", host to plugin: elementary functions that give the same bits on every machine, which the functions of
 * the C library do not. What reaches a picture under --precision exact uses these, and + - * / and sqrt in double
 * (build with -ffp-contract=off). */
#ifndef PUMICE_SDK_EXT_MATH_H
#define PUMICE_SDK_EXT_MATH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_MATH_1 "pumice.math/1"

/* Any thread, any time. Accurate to about one unit in the last place; special values as in C (Annex F). */
typedef struct pumice_host_math_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    double (*exp)(double x);
    double (*expm1)(double x);
    double (*log)(double x);
    double (*pow)(double x, double y);
    double (*sin)(double x); /* |x| up to 1e6, NaN beyond; likewise cos */
    double (*cos)(double x);
    double (*acos)(double x); /* NaN outside [-1, 1] */
} pumice_host_math_1;

#ifdef __cplusplus
}
#endif

#endif
