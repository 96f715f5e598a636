/* The host, as a plugin sees it. */
#ifndef PUMICE_SDK_HOST_H
#define PUMICE_SDK_HOST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Made by the host, one for each instance of a plugin, valid from create to the end of destroy. A plugin does not write
 * to it. Its functions, and those of the host's extensions, may be called only on the thread that is in a call of this
 * instance, and during that call. */
typedef struct pumice_host {
    uint32_t struct_size;          /* bytes of this struct the host knows */
    uint32_t abi_major, abi_minor; /* PUMICE_SDK_ABI_... the host was built with */
    uint32_t reserved;             /* 0 */
    const char* name;              /* "pumice"; UTF-8, the host's, lives as long as the host struct, as all texts here */
    const char* version;           /* "0.1.0" */
    void* data;                    /* the host's own */

    /* What the host offers under an id such as "pumice.tensor/1": a pointer to the struct that the header of that
     * extension describes, constant and valid as long as this struct; NULL if it offers no such thing. */
    const void* (*get_extension)(const struct pumice_host* host, const char* id);

    /* One line of text, copied, that says why the plugin is about to give a status other than PUMICE_SDK_OK: what, where,
     * what to do. The last one counts. The host shows it with the plugin's name. */
    void (*set_error)(const struct pumice_host* host, const char* message);
} pumice_host;

#ifdef __cplusplus
}
#endif

#endif
