/* "pumice.preprocessor/1", plugin to host: from a picture to the picture that a control network is given. */
#ifndef PUMICE_SDK_EXT_PREPROCESSOR_H
#define PUMICE_SDK_EXT_PREPROCESSOR_H

#include <stdint.h>

#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_PREPROCESSOR_1 "pumice.preprocessor/1"

/* Draws from its parameters alone: pumice_preprocessor_call.in may be 0. */
#define PUMICE_PREPROCESSOR_NO_PICTURE 1u

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_preprocessor_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* PUMICE_PREPROCESSOR_... */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help;     /* one line */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_preprocessor_descriptor;

/* The host's, during the call of run. */
typedef struct pumice_preprocessor_call {
    uint32_t struct_size;
    uint32_t reserved;
    pumice_picture in;  /* RGB or RGBA of 8 bit, to read; or 0 */
    pumice_picture out; /* RGB of 8 bit, the input's size, all 0, to be filled */
    uint64_t seed;      /* for what is random in it: the same seed, the same result */
    const pumice_param_value* params;
} pumice_preprocessor_call;

typedef struct pumice_preprocessor_1 {
    uint32_t struct_size;
    uint32_t count; /* preprocessors of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_preprocessor_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_preprocessor_call* call);
} pumice_preprocessor_1;

#ifdef __cplusplus
}
#endif

#endif
