/* A plugin: its description, the factory it comes from, and the object itself. */
#ifndef PUMICE_SDK_PLUGIN_H
#define PUMICE_SDK_PLUGIN_H

#include <stdint.h>

#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Constant, the plugin's, alive from the entry's init to its deinit. Texts are UTF-8 and one line. */
typedef struct pumice_plugin_descriptor {
    uint32_t struct_size;
    uint32_t reserved;       /* 0 */
    const char* id;          /* "org.example.my-samplers": letters, digits, '.', '-', '_', at most 64; never changes */
    const char* name;        /* for people; not empty */
    const char* version;     /* "1.2.0"; not empty */
    const char* vendor;      /* "" if none is told, as with the next two */
    const char* licence;     /* an SPDX identifier: "MIT" */
    const char* description; /* what it does */
} pumice_plugin_descriptor;

/* An instance. A host may make several, and use them on several threads, each on one thread at a time. */
typedef struct pumice_plugin {
    uint32_t struct_size;
    uint32_t reserved;                          /* 0 */
    const pumice_plugin_descriptor* descriptor; /* of the index it was created for */
    void* data;                                 /* the plugin's own */

    /* Called once, first, on the thread of create. From here on the host's extensions may be asked for. After an error
     * only destroy is called. */
    pumice_sdk_status (*init)(struct pumice_plugin* plugin);
    /* Releases the instance and all it owns. Called once, last; no other call is running. */
    void (*destroy)(struct pumice_plugin* plugin);
    /* The struct of an extension of the plugin ("pumice.sampler/1"), constant until destroy; NULL for those it does not
     * have. After init; on any thread that no other call of this instance runs on. */
    const void* (*get_extension)(struct pumice_plugin* plugin, const char* id);
} pumice_plugin;

/* The id that the entry's get_factory is asked for. */
#define PUMICE_PLUGIN_FACTORY_1 "pumice.plugin-factory/1"

/* Constant, the plugin's, alive from the entry's init to its deinit. Its functions may be called on any thread, on
 * several at once. */
typedef struct pumice_plugin_factory_1 {
    uint32_t struct_size;
    uint32_t reserved;       /* 0 */
    uint32_t (*count)(void); /* of the plugins in this library, 1 to 64 */
    /* NULL for an index that is not below count. */
    const pumice_plugin_descriptor* (*descriptor)(uint32_t index);
    /* A new instance, owned by the host, which ends it with its destroy. `host` outlives it. *plugin is written on
     * success. PUMICE_SDK_INVALID_ARGUMENT for an index that is not below count. */
    pumice_sdk_status (*create)(uint32_t index, const pumice_host* host, pumice_plugin** plugin);
} pumice_plugin_factory_1;

#ifdef __cplusplus
}
#endif

#endif
