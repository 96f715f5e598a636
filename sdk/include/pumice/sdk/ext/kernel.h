/* "pumice.kernel/1", host to plugin: compute shaders of the plugin's own, appended to graphs as operators are. */
#ifndef PUMICE_SDK_EXT_KERNEL_H
#define PUMICE_SDK_EXT_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_KERNEL_1 "pumice.kernel/1"

/* A kernel: valid until the instance ends. 0 is none. */
typedef uint32_t pumice_kernel;

#define PUMICE_KERNEL_MAX_BINDINGS 8u
#define PUMICE_KERNEL_MAX_PUSH_BYTES 128u
#define PUMICE_KERNEL_MAX_CONSTANTS 32u

/* The f16 code declares 16-bit types in its buffers, which not every device that runs float16 graphs can (two halves in
 * a word need nothing). */
#define PUMICE_KERNEL_F16_NEEDS_16BIT_STORAGE 1u

/* A shader as GLSL (for Vulkan 1.2, compiled when the kernel is made) or as SPIR-V 1.0 to 1.5; one of the two is NULL.
 * Entry point "main"; local size fixed in the code and at most 256 invocations in all. Never grows. */
typedef struct pumice_kernel_code {
    const char* glsl;
    const uint32_t* spirv;
    size_t spirv_words;
} pumice_kernel_code;

/* Tensors are storage buffers of set 0, binding i, std430: those that are read first, then those that are written. In
 * `f32` they are arrays of float, channels in fours (so vec4 is fine); in `f16` of float16_t, two to a word.
 *
 * `f32` must be there, and is what runs in float32 and exact graphs. In float16 graphs `f16` runs if it is there and
 * the device can; if not, `f32` runs, and the host converts what it reads. Exact graphs are the same bits on every
 * device as long as the shader has `precise` on every float, and + - * alone. */
typedef struct pumice_kernel_options {
    uint32_t struct_size;
    uint32_t flags;   /* PUMICE_KERNEL_... */
    const char* name; /* stands for the file in messages: "sharpen.comp"; copied, as all here */
    pumice_kernel_code f32;
    pumice_kernel_code f16; /* all NULL: none */
    uint32_t reads, writes; /* tensors; together 1 to PUMICE_KERNEL_MAX_BINDINGS, writes at least 1 */
    uint32_t push_bytes;    /* a multiple of 4 */
    uint32_t reserved;
} pumice_kernel_options;

/* One use. */
typedef struct pumice_kernel_use {
    uint32_t struct_size;
    uint32_t reserved;
    const pumice_node* reads;   /* as many as declared; of this graph */
    const pumice_shape* writes; /* shapes of the new tensors, as many as declared */
    const void* push;           /* push_bytes of the options */
    const uint32_t* constants;  /* specialization constants: constant_id i takes the word i */
    uint32_t constant_count;
    uint32_t groups[3]; /* workgroups: each 1 to 65535 */
    double flops;       /* about how many operations it is; 0: not known */
} pumice_kernel_use;

typedef struct pumice_host_kernel_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* May be called in the plugin's init, so that what is wrong with a shader is told when an instance is made; the host
     * has this extension where there is a device, and not when a plugin is tried out. Compiles and checks. PUMICE_SDK_BAD_FORMAT with the compiler's lines, which begin with NAME:LINE; host errors
     * show the first of them, the log all. The same code is compiled once for all instances. */
    pumice_sdk_status (*create)(const pumice_host* host, const pumice_kernel_options* options, pumice_kernel* kernel);
    /* Appends; written[i] are the new tensors (0 after an error of the graph, as operators give). A tensor larger than
     * pumice_graph_info.binding_bytes is PUMICE_SDK_MISSING_FEATURE: kernels are not cut. */
    pumice_sdk_status (*append)(const pumice_host* host, pumice_graph graph, pumice_kernel kernel,
                                const pumice_kernel_use* use, pumice_node* written);
} pumice_host_kernel_1;

#ifdef __cplusplus
}
#endif

#endif
