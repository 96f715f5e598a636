/* "pumice.guidance/1", plugin to host: how what the model says with and without the prompt becomes one picture. */
#ifndef PUMICE_SDK_EXT_GUIDANCE_H
#define PUMICE_SDK_EXT_GUIDANCE_H

#include <stdint.h>

#include "pumice/sdk/ext/tensor.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_GUIDANCE_1 "pumice.guidance/1"

/* Asks for a third answer of the model: to the prompt, with self-attention in some blocks the identity, so that each
 * token sees itself alone. It costs another evaluation. */
#define PUMICE_GUIDANCE_PERTURBED 1u

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_guidance_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* PUMICE_GUIDANCE_... */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help;     /* one line */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_guidance_descriptor;

/* One call of the sampler's. The host's, during the call of run; so are the tensors. The model's answers are pictures
 * without noise (denoised), not noise. */
typedef struct pumice_guidance_call {
    uint32_t struct_size;
    pumice_tensor x;    /* picture + sigma * noise */
    pumice_tensor cond; /* the answer to the prompt */
    /* The answer to the negative prompt. Where guidance_scale is 1 or less it is not computed: this is `cond`. */
    pumice_tensor uncond;
    pumice_tensor perturbed; /* the third answer; 0 unless the descriptor asks for it */
    pumice_tensor denoised;  /* to be written: none of the others. cond, uncond and perturbed may be written over */
    double sigma;            /* noise level, positive */
    double guidance_scale;   /* 0 to 100; uncond + guidance_scale * (cond - uncond) is the usual answer */
    const pumice_param_value* params;
} pumice_guidance_call;

typedef struct pumice_guidance_1 {
    uint32_t struct_size;
    uint32_t count; /* methods of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_guidance_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    /* Writes call->denoised. Called on one instance for every call of a picture's sampler; the result depends on the
     * arguments and on the host's answers alone. */
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_guidance_call* call);
    /* For methods with PUMICE_GUIDANCE_PERTURBED, else it may be NULL: the blocks of the UNet in which self-attention
     * is the identity, separated by spaces: "middle_block input_blocks.8". Names as in checkpoints of Stable Diffusion;
     * blocks without attention change nothing, a name that is none is an error. Asked once a picture; the text is the
     * plugin's, and read at once. NULL when the parameters make no sense, with the host's set_error called. */
    const char* (*perturbed_blocks)(struct pumice_plugin* plugin, uint32_t index, const pumice_param_value* params);
} pumice_guidance_1;

#ifdef __cplusplus
}
#endif

#endif
