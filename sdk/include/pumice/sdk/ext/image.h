/* "pumice.image/1", host to plugin: pictures, in the host's memory. */
#ifndef PUMICE_SDK_EXT_IMAGE_H
#define PUMICE_SDK_EXT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_IMAGE_1 "pumice.image/1"

/* A picture: a handle of one host struct. One that the plugin made is valid until it is released or the instance ends;
 * one that it was given, during the call. 0 is none. */
typedef uint32_t pumice_picture;

/* Channels of one pixel lie side by side: R, G, B, and A where there is one. sRGB as in the file, nothing linearized;
 * alpha is not multiplied in. Floats are 0 (black, transparent) to 1. */
#define PUMICE_PICTURE_RGB8 1u
#define PUMICE_PICTURE_RGBA8 2u
#define PUMICE_PICTURE_RGB32F 3u
#define PUMICE_PICTURE_RGBA32F 4u

#define PUMICE_PICTURE_MAX_SIDE 65536u

typedef struct pumice_picture_info {
    uint32_t struct_size;   /* set by the caller */
    uint32_t format;        /* PUMICE_PICTURE_... */
    uint32_t width, height; /* pixels */
    size_t row_bytes;       /* from one row to the next: no padding */
    void* pixels; /* the top row; as long as the handle. Not to be written in a picture that is given to read */
} pumice_picture_info;

/* PUMICE_SDK_INVALID_ARGUMENT for a handle that is none, a NULL, or a size or format that is none. */
typedef struct pumice_host_image_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    /* A new picture, all 0; width and height 1 to PUMICE_PICTURE_MAX_SIDE. */
    pumice_sdk_status (*create)(const pumice_host* host, uint32_t format, uint32_t width, uint32_t height,
                                pumice_picture* picture);
    pumice_sdk_status (*info)(const pumice_host* host, pumice_picture picture, pumice_picture_info* info);
    /* 0 is allowed. Not for pictures the plugin was given. */
    void (*release)(const pumice_host* host, pumice_picture picture);
} pumice_host_image_1;

#ifdef __cplusplus
}
#endif

#endif
