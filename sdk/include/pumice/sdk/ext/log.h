/* "pumice.log/1", host to plugin. */
#ifndef PUMICE_SDK_EXT_LOG_H
#define PUMICE_SDK_EXT_LOG_H

#include <stdint.h>

#include "pumice/sdk/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_LOG_1 "pumice.log/1"

#define PUMICE_SDK_LOG_DEBUG 0
#define PUMICE_SDK_LOG_INFO 1
#define PUMICE_SDK_LOG_WARNING 2 /* from here on users see it */

typedef struct pumice_host_log_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* One line of UTF-8 without line end, copied. The host puts the plugin's id before it. */
    void (*log)(const pumice_host* host, int32_t level, const char* line);
} pumice_host_log_1;

#ifdef __cplusplus
}
#endif

#endif
