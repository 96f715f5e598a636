/* "pumice.upscaler/1", plugin to host: larger pictures. */
#ifndef PUMICE_SDK_EXT_UPSCALER_H
#define PUMICE_SDK_EXT_UPSCALER_H

#include <stdint.h>

#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_UPSCALER_1 "pumice.upscaler/1"

/* Works with a file of weights that the user names. */
#define PUMICE_UPSCALER_NEEDS_MODEL 1u

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_upscaler_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* PUMICE_UPSCALER_... */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help;     /* one line */
    double scale;         /* its own factor, what users get who name none; 0: the model's (inspect) */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_upscaler_descriptor;

/* The host's, during the call of run. */
typedef struct pumice_upscaler_call {
    uint32_t struct_size;
    uint32_t reserved;
    pumice_picture in;  /* 8 bit or float, with or without alpha; to read */
    pumice_picture out; /* to be filled: the input's format, each side the input's times a factor of 1/16 to 64,
                           rounded: whatever the model's own factor is */
    const char* model;  /* the file; "" without NEEDS_MODEL */
    const pumice_param_value* params;
} pumice_upscaler_call;

typedef struct pumice_upscaler_1 {
    uint32_t struct_size;
    uint32_t count; /* upscalers of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_upscaler_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    /* With NEEDS_MODEL: whether a file is for this upscaler, by its tensors' names and shapes, and its own factor.
     * PUMICE_SDK_UNSUPPORTED if it is for another; file errors as they come. Others may leave it NULL. */
    pumice_sdk_status (*inspect)(struct pumice_plugin* plugin, uint32_t index, const char* model, double* scale);
    /* Tells pumice.progress/1 after each tile. */
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_upscaler_call* call);
} pumice_upscaler_1;

#ifdef __cplusplus
}
#endif

#endif
