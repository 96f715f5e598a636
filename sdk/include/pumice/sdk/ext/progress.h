/* "pumice.progress/1", host to plugin: how far the work is, and whether it is still wanted. */
#ifndef PUMICE_SDK_EXT_PROGRESS_H
#define PUMICE_SDK_EXT_PROGRESS_H

#include <stdint.h>

#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_PROGRESS_1 "pumice.progress/1"

typedef struct pumice_host_progress_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* Step `done` of `all` has just ended (1 is the first; a method that chooses its steps as it goes gives its best
     * guess of `all`). PUMICE_SDK_CANCELLED, or another error, is to be given back at once. */
    pumice_sdk_status (*step)(const pumice_host* host, uint32_t done, uint32_t all);
    /* PUMICE_SDK_OK, or PUMICE_SDK_CANCELLED: for long work between steps. */
    pumice_sdk_status (*check)(const pumice_host* host);
} pumice_host_progress_1;

#ifdef __cplusplus
}
#endif

#endif
