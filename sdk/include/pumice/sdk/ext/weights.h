/* "pumice.weights/1", host to plugin: files of weights through the engine's readers; their tensors as the engine's own.
 */
#ifndef PUMICE_SDK_EXT_WEIGHTS_H
#define PUMICE_SDK_EXT_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_WEIGHTS_1 "pumice.weights/1"

/* Handles of one host struct, valid until the file is closed or the instance ends. 0 is none. */
typedef uint32_t pumice_weight_file;
typedef uint32_t pumice_weight;

/* How the operators of pumice.graph/1 read a tensor. */
#define PUMICE_WEIGHT_LINEAR 0u       /* [n, k], or a 1x1 convolution */
#define PUMICE_WEIGHT_CONV 1u         /* [n, k, kh, kw], or [n, k] */
#define PUMICE_WEIGHT_GEGLU 2u        /* [2n, k]: values, then gates */
#define PUMICE_WEIGHT_VECTOR 3u       /* [n]: biases, norms, slopes */
#define PUMICE_WEIGHT_GEGLU_VECTOR 4u /* [2n]: the bias of a GEGLU weight */

/* A tensor of a file. Pointers are the file's, until it is closed. */
typedef struct pumice_weight_info {
    uint32_t struct_size; /* set by the caller */
    uint32_t rank;        /* elements of `shape`; 0 for a scalar */
    const char* name;
    const char* dtype; /* "F32", "F16", "BF16", ...: the names of the safetensors format */
    const uint64_t* shape;
    uint64_t bytes; /* in the file */
} pumice_weight_info;

/* PUMICE_SDK_INVALID_ARGUMENT for a handle that is none or a NULL; the host's message names file and tensor in all
 * else. */
typedef struct pumice_host_weights_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* Maps and checks a file: .safetensors, and whatever else this version's engine reads. Nothing goes to the device.
     * PUMICE_SDK_NOT_FOUND, PUMICE_SDK_IO, PUMICE_SDK_BAD_FORMAT, PUMICE_SDK_UNSUPPORTED. */
    pumice_sdk_status (*open)(const pumice_host* host, const char* path, pumice_weight_file* file);
    /* The tensors leave the device; programs made of them must not run afterwards, and graphs of the host's that hold
     * them end with an error. 0 is allowed. */
    void (*close)(const pumice_host* host, pumice_weight_file file);
    /* How many tensors the file has; 0 for a handle that is none. */
    uint32_t (*count)(const pumice_host* host, pumice_weight_file file);
    /* By index, in the order of their names. */
    pumice_sdk_status (*info)(const pumice_host* host, pumice_weight_file file, uint32_t index,
                              pumice_weight_info* info);
    /* The index of a name, or count() where there is none. */
    uint32_t (*find)(const pumice_host* host, pumice_weight_file file, const char* name);
    /* A text of the file's own metadata; NULL if it has none of that key. */
    const char* (*metadata)(const pumice_host* host, pumice_weight_file file, const char* key);
    /* A tensor for the operators; the same handle for the same name and use. It goes to the device when a graph first
     * uses it, streamed, in the layout the kernels read, and it leaves the device with `release`, with `close`, or when
     * the host needs the room: the next graph brings it back. PUMICE_SDK_BAD_FORMAT for a tensor that is missing or
     * whose shape does not suit the use, PUMICE_SDK_UNSUPPORTED for an element type that cannot be used. */
    pumice_sdk_status (*load)(const pumice_host* host, pumice_weight_file file, const char* name, uint32_t use,
                              pumice_weight* weight);
    /* The numbers of a tensor (F64, F32, F16, BF16) as floats, in the file's order; `count` is their number. */
    pumice_sdk_status (*read)(const pumice_host* host, pumice_weight_file file, const char* name, float* values,
                              size_t count);
    /* Frees the device's copies of a file's tensors; no program that uses them may run afterwards, new ones may be
     * made. */
    void (*release)(const pumice_host* host, pumice_weight_file file);
} pumice_host_weights_1;

#ifdef __cplusplus
}
#endif

#endif
