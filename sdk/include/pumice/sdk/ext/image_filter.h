/* "pumice.image_filter/1", plugin to host: what is done to a picture after it has been decoded. */
#ifndef PUMICE_SDK_EXT_IMAGE_FILTER_H
#define PUMICE_SDK_EXT_IMAGE_FILTER_H

#include <stdint.h>

#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_IMAGE_FILTER_1 "pumice.image_filter/1"

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_image_filter_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* 0 */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help;     /* one line */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_image_filter_descriptor;

/* One picture. The host's, during the call of run. */
typedef struct pumice_image_filter_call {
    uint32_t struct_size;
    uint32_t index;     /* of the picture in its batch, from 0 */
    pumice_picture in;  /* 8 bit, to read */
    pumice_picture out; /* of the same size and format, all 0, to be filled */
    uint64_t seed;      /* of the picture */
    const pumice_param_value* params;
} pumice_image_filter_call;

typedef struct pumice_image_filter_1 {
    uint32_t struct_size;
    uint32_t count; /* filters of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_image_filter_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_image_filter_call* call);
} pumice_image_filter_1;

#ifdef __cplusplus
}
#endif

#endif
