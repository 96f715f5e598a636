/* "pumice.schedule/1", plugin to host: the noise levels a sampler walks down. */
#ifndef PUMICE_SDK_EXT_SCHEDULE_H
#define PUMICE_SDK_EXT_SCHEDULE_H

#include <stdint.h>

#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_SCHEDULE_1 "pumice.schedule/1"

/* For samplers that name it (pumice_sampler_descriptor.schedule) and not for users. It need not end with 0. */
#define PUMICE_SCHEDULE_INTERNAL 1u

/* Constant, the plugin's, until its instance is destroyed; the same from every instance. */
typedef struct pumice_schedule_descriptor {
    uint32_t struct_size;
    uint32_t flags;   /* PUMICE_SCHEDULE_... */
    const char* name; /* what users type, as pumice_param.id */
    const char* label;
    const char* help; /* one line */
    uint32_t param_count; /* at most 64 */
    uint32_t reserved;    /* 0 */
    const pumice_param* const* params;
} pumice_schedule_descriptor;

/* The host's, during the call of run. */
typedef struct pumice_schedule_call {
    uint32_t struct_size;
    uint32_t steps;      /* 1 to table_size */
    uint32_t table_size; /* time steps the model was trained with: 1000 */
    uint32_t capacity;   /* elements of `out` */
    const float* table;  /* the sigma of each time step, rising */
    const char* family;  /* of the model: "sd1", "sd2", "sdxl"; more may come */
    const pumice_param_value* params;
    float* out;      /* the sigmas: finite, positive, not rising; 0 at the end, unless the method ends above it */
    uint32_t* count; /* how many were written: steps + 1 where the method has no reason for another number */
} pumice_schedule_call;

typedef struct pumice_schedule_1 {
    uint32_t struct_size;
    uint32_t count; /* schedules of this plugin, at most 256 */
    /* NULL for an index that is not below count. */
    const pumice_schedule_descriptor* (*describe)(struct pumice_plugin* plugin, uint32_t index);
    /* The result depends on the arguments alone. */
    pumice_sdk_status (*run)(struct pumice_plugin* plugin, uint32_t index, const pumice_schedule_call* call);
} pumice_schedule_1;

#ifdef __cplusplus
}
#endif

#endif
