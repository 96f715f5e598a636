/* What a plugin's library exports: one symbol, pumice_plugin_entry, a constant of this type. */
#ifndef PUMICE_SDK_ENTRY_H
#define PUMICE_SDK_ENTRY_H

#include <stdint.h>

#include "pumice/sdk/status.h"
#include "pumice/sdk/version.h"

#if defined(_WIN32)
#define PUMICE_SDK_EXPORT __declspec(dllexport)
#else
#define PUMICE_SDK_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pumice_plugin_entry_1 {
    uint32_t struct_size; /* sizeof(pumice_plugin_entry_1) */
    uint32_t abi_major;   /* PUMICE_SDK_ABI_MAJOR */
    uint32_t abi_minor;   /* PUMICE_SDK_ABI_MINOR */
    uint32_t reserved;    /* 0 */

    /* Called first, and again after each deinit. `path` is the library's file, UTF-8, valid during the call: what lies
     * beside it can be found from there. Cheap: no file is opened, no thread started, nothing printed. After an error
     * the library is let go without deinit. Never called on two threads at once, nor beside deinit. */
    pumice_sdk_status (*init)(const char* path);
    /* Called last, when no instance is left; undoes init. */
    void (*deinit)(void);
    /* The struct of a factory ("pumice.plugin-factory/1", plugin.h), or NULL. Between init and deinit, on any thread. */
    const void* (*get_factory)(const char* id);
} pumice_plugin_entry_1;

PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry;

#ifdef __cplusplus
}
#endif

#endif
