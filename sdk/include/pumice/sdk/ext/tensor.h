/* "pumice.tensor/1", host to plugin: arithmetic on latents. The numbers stay on the device; a plugin holds handles. */
#ifndef PUMICE_SDK_EXT_TENSOR_H
#define PUMICE_SDK_EXT_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_TENSOR_1 "pumice.tensor/1"

/* A tensor of the latents' shape, float32: a handle of one host struct, valid until it is released or the call of the
 * plugin in which it was made returns, when the host releases what is left. 0 is none. */
typedef uint32_t pumice_tensor;

#define PUMICE_TENSOR_MAX_TERMS 8

typedef struct pumice_tensor_term {
    double weight; /* finite; rounded to float */
    pumice_tensor tensor;
    uint32_t reserved; /* 0 */
} pumice_tensor_term;

/* The measures of a tensor, one a picture of the batch. */
typedef struct pumice_tensor_norms {
    double sum;     /* of the elements */
    double squares; /* of their squares */
    double largest; /* of their absolute values */
} pumice_tensor_norms;

/* What happens to a channel of a picture: * scale + offset, then kept between low and high. Rounded to float; scale and
 * offset are finite, low and high may be infinite. Never grows. */
typedef struct pumice_tensor_affine {
    double scale, offset;
    double low, high;
} pumice_tensor_affine;

/* How the elements of a channel of a picture are spread. */
typedef struct pumice_tensor_spread {
    double mean;
    double deviation; /* standard deviation, over count - 1 */
    double largest;   /* of |element - mean| */
    double quantile;  /* of |element - mean|: the q-quantile, linear between neighbours */
} pumice_tensor_spread;

/* Operations end in the order of the calls. PUMICE_SDK_INVALID_ARGUMENT for a handle that is none, a NULL, or a count
 * out of range; memory and device errors, which are to be given back from the plugin's own function. */
typedef struct pumice_host_tensor_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* {pictures, channels, rows, columns}. */
    pumice_sdk_status (*shape)(const pumice_host* host, uint32_t nchw[4]);
    /* A new tensor, its contents undefined. */
    pumice_sdk_status (*create)(const pumice_host* host, pumice_tensor* tensor);
    /* 0 is allowed. Not for tensors the plugin was given. */
    void (*release)(const pumice_host* host, pumice_tensor tensor);
    /* out = sum of weight * tensor, in float32, added in the order given, one dispatch; 1 to PUMICE_TENSOR_MAX_TERMS
     * terms; `out` may be one of them. */
    pumice_sdk_status (*combine)(const pumice_host* host, pumice_tensor out, const pumice_tensor_term* terms,
                                 uint32_t count);
    /* Standard normal numbers: the next draw of each picture's generator. */
    pumice_sdk_status (*noise)(const pumice_host* host, pumice_tensor out);
    /* The increment of a Brownian path from noise level `from` down to `to`, scaled to unit variance: the same path
     * whatever the steps, from each picture's seed, over [lowest, highest], 0 < lowest < highest. Levels outside count
     * as the nearer end; from = to gives zeros. (Li et al. 2020, arXiv 2001.01328, as torchsde's BrownianTree.) */
    pumice_sdk_status (*brownian)(const pumice_host* host, pumice_tensor out, double lowest, double highest,
                                  double from, double to);
    /* Reads back a few numbers a picture. `norms` has as many elements as there are pictures. The same bits on every
     * device under --precision exact. */
    pumice_sdk_status (*norms)(const pumice_host* host, pumice_tensor tensor, pumice_tensor_norms* norms,
                               uint32_t count);
    /* All of it, in the order {pictures, channels, rows, columns}; `count` is the number of elements. Slow. */
    pumice_sdk_status (*read)(const pumice_host* host, pumice_tensor tensor, float* values, size_t count);
    pumice_sdk_status (*write)(const pumice_host* host, pumice_tensor tensor, const float* values, size_t count);
    /* out = each channel of each picture of `tensor` scaled, moved and clamped, one dispatch: weights of a picture, or
     * clamping. `each` has an entry a picture and channel, those of a picture together; `count` is their number. `out`
     * may be `tensor`. */
    pumice_sdk_status (*affine)(const pumice_host* host, pumice_tensor out, pumice_tensor tensor,
                                const pumice_tensor_affine* each, uint32_t count);
    /* One a picture and channel, in the same order; q from 0 to 1. Computed from what is read back, in double and in
     * order: the same numbers on every device for the same elements. A latent is small: some ten microseconds. */
    pumice_sdk_status (*spreads)(const pumice_host* host, pumice_tensor tensor, double q,
                                 pumice_tensor_spread* spreads, uint32_t count);
} pumice_host_tensor_1;

#ifdef __cplusplus
}
#endif

#endif
