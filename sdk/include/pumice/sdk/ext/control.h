/* "pumice.control/1", plugin to host: networks that look at a picture and steer the UNet by what they add to it. */
#ifndef PUMICE_SDK_EXT_CONTROL_H
#define PUMICE_SDK_EXT_CONTROL_H

#include <stdint.h>

#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_CONTROL_1 "pumice.control/1"

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_control_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* 0 */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help;     /* one line */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_control_descriptor;

/* A model file for a UNet. The host's, during the call. */
typedef struct pumice_control_model {
    uint32_t struct_size;
    uint32_t heads;            /* attention heads of the UNet's transformers; 0: they have head_channels each */
    const char* path;          /* the file, for pumice.weights/1 */
    const char* family;        /* of the UNet: "sd1", "sd2", "sdxl"; more may come */
    uint32_t head_channels;    /* channels of a head, where `heads` is 0 */
    uint32_t latent_channels;  /* 4 */
    uint32_t model_channels;   /* of the UNet's first block: 320 */
    uint32_t context_channels; /* of the prompt's states: 768 */
    uint32_t vector_channels;  /* of SDXL's vector; 0: none */
    uint32_t reserved;         /* 0 */
    const pumice_param_value* params;
} pumice_control_model;

/* What is computed once a picture. The host's, during the call. */
typedef struct pumice_control_prepare {
    uint32_t struct_size;
    pumice_graph graph;
    pumice_node picture; /* {1, 8 h, 8 w, 4} for a latent of h x w: RGB from 0 to 1, the fourth channel 0 */
    uint32_t reserved;   /* 0 */
    void* data;          /* the host's own */
    /* Keeps a tensor for the steps, at most PUMICE_CONTROL_MAX_KEPT. An error is to be given back. */
    pumice_sdk_status (*keep)(const struct pumice_control_prepare* prepare, pumice_node tensor);
} pumice_control_prepare;

#define PUMICE_CONTROL_MAX_KEPT 32u

/* Where a residual goes: into the skip that a block's output becomes (as ControlNet does), or into the output itself
 * (as T2I-Adapter does), which the next block and the skip get. For the middle block both are one. */
#define PUMICE_CONTROL_TO_SKIP 0u
#define PUMICE_CONTROL_TO_OUTPUT 1u

/* One part of the network's step. The host's, during the call. */
typedef struct pumice_control_step {
    uint32_t struct_size;
    pumice_graph graph;
    pumice_node x;           /* {n, h, w, latent_channels}, scaled as the UNet gets it */
    pumice_node timesteps;   /* n float32 numbers, may be fractional */
    pumice_node context;     /* {n, 1, tokens, context_channels} */
    pumice_node vector;      /* {n, 1, 1, vector_channels}; 0: none */
    const pumice_node* kept; /* what was kept, in that order; one picture's repeated n times */
    uint32_t kept_count;
    uint32_t reserved; /* 0 */
    void* data;        /* the host's own */
    /* Adds `residual`, times the user's weight, after a block of the UNet: "input_blocks.0" and on, "middle_block". Its
     * shape is that of the block's output, or of one picture, which is added to all. soft_weight (0 to 1) is what it
     * counts where the user gives the prompt or the control more weight than the other: deep blocks count most. At most
     * PUMICE_CONTROL_MAX_RESIDUALS. An error is to be given back. */
    pumice_sdk_status (*add)(const struct pumice_control_step* step, const char* block, uint32_t where,
                             pumice_node residual, double soft_weight);
} pumice_control_step;

#define PUMICE_CONTROL_MAX_RESIDUALS 64u

/* An instance has one model. open comes first and once; after it prepare and step, each as often as the host builds a
 * graph: for another batch, another length of the prompt, another precision. They append the same network each time.
 * The host multiplies what they give by the weights, which change from step to step, and leaves the network out where
 * it does not count. */
typedef struct pumice_control_1 {
    uint32_t struct_size;
    uint32_t count; /* kinds of control of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_control_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    /* Opens and checks the model. PUMICE_SDK_UNSUPPORTED for a file that is of another kind: the host then tries the
     * next kind, another instance. All else is an error of the file's. */
    pumice_sdk_status (*open)(struct pumice_plugin* plugin, uint32_t index, const pumice_control_model* model);
    pumice_sdk_status (*prepare)(struct pumice_plugin* plugin, uint32_t index, const pumice_control_prepare* prepare);
    pumice_sdk_status (*step)(struct pumice_plugin* plugin, uint32_t index, const pumice_control_step* step);
} pumice_control_1;

#ifdef __cplusplus
}
#endif

#endif
