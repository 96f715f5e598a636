/* "pumice.sampler/1", plugin to host: how to walk from noise to a picture. */
#ifndef PUMICE_SDK_EXT_SAMPLER_H
#define PUMICE_SDK_EXT_SAMPLER_H

#include <stdint.h>

#include "pumice/sdk/ext/tensor.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_SAMPLER_1 "pumice.sampler/1"

/* Defined on x / sqrt(1 + sigma^2): a picture from text alone starts from noise of scale sqrt(1 + sigma^2) in place of
 * sigma. */
#define PUMICE_SAMPLER_VARIANCE_PRESERVING 1u
/* Walks better without the last level above 0: the host makes sigmas for one step more and leaves out that one. */
#define PUMICE_SAMPLER_DISCARD_PENULTIMATE 2u
/* Calls denoise_uncond: the host has the model answer without the prompt too, however weak the guidance. */
#define PUMICE_SAMPLER_UNCONDITIONAL 4u

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_sampler_descriptor {
    uint32_t struct_size;
    uint32_t flags;           /* PUMICE_SAMPLER_... */
    const char* name;         /* what users type, as pumice_param.id */
    const char* label;        /* for people: "DPM++ 2M" */
    const char* help;         /* one line: what it is good for, or where it comes from */
    const char* schedule;     /* the only schedule it can walk, whatever the user asks for; NULL: any */
    uint32_t calls_per_step;  /* model calls of most steps: 1, or 2 for a method of second order */
    uint32_t param_count;     /* at most 64 */
    const pumice_param* const* params;
} pumice_sampler_descriptor;

/* One run. The host's, during the call of run. */
typedef struct pumice_sampler_call {
    uint32_t struct_size;
    uint32_t sigma_count; /* 2 or more */
    const float* sigmas;  /* noise levels: finite, positive, not rising; the last may be 0 */
    const pumice_param_value* params;
    pumice_tensor x; /* in: picture + sigmas[0] * noise. Out: the picture. Stays the host's */
    uint32_t reserved;
    void* data; /* the host's own */

    /* Writes to `denoised` what the model takes to be the picture in x = picture + sigma * noise; sigma is positive.
     * `denoised` is not x. Takes seconds on a slow device. An error (PUMICE_SDK_CANCELLED too) is to be given back from
     * run at once. */
    pumice_sdk_status (*denoise)(const struct pumice_sampler_call* call, pumice_tensor x, double sigma,
                                 pumice_tensor denoised);
    /* The same under guidance `scale` times (above 0, at most 1) as strong as the user wants it, and to `uncond` what
     * the model takes to be the picture when it is not told the prompt. x, `denoised` and `uncond` are three tensors.
     * For samplers with PUMICE_SAMPLER_UNCONDITIONAL; another's call is an invalid argument. */
    pumice_sdk_status (*denoise_uncond)(const struct pumice_sampler_call* call, pumice_tensor x, double sigma,
                                        double scale, pumice_tensor denoised, pumice_tensor uncond);
} pumice_sampler_call;

typedef struct pumice_sampler_1 {
    uint32_t struct_size;
    uint32_t count; /* samplers of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_sampler_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    /* Walks call->x from the first sigma to the last. After each step it tells pumice.progress/1, if the host has it,
     * and ends with the status that gives. The result depends on the arguments and on the host's answers alone. */
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_sampler_call* call);
} pumice_sampler_1;

#ifdef __cplusplus
}
#endif

#endif
