/* "pumice.graph/1", host to plugin: networks of the engine's operators. A graph is built by a function of the plugin's:
 * either for a program of its own (create, then run as often as wanted), or as a part of a graph of the host's, which
 * hands over a pumice_graph with tensors in it. Memory, barriers, cutting by the device's limits and kernels are the
 * engine's. */
#ifndef PUMICE_SDK_EXT_GRAPH_H
#define PUMICE_SDK_EXT_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/ext/weights.h"
#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_HOST_GRAPH_1 "pumice.graph/1"

/* A graph being built: valid during the call of the function that builds it. 0 is none. */
typedef uint32_t pumice_graph;
/* A tensor of one graph, valid as long as that. 0 is none. */
typedef uint32_t pumice_node;
/* A program: valid until it is released or the instance ends. 0 is none. */
typedef uint32_t pumice_program;

/* Pictures, rows, columns, channels; dense in that order. Tokens are {n, 1, tokens, c}. Channels are a multiple of 4:
 * an RGB picture has a fourth that is 0, which weights of three input channels do not see. Never grows. */
typedef struct pumice_shape {
    uint32_t n, h, w, c;
} pumice_shape;

/* Precision of a graph. In float16 the values between operators are stored as such, and summed in float32. In exact
 * graphs all is float32 in a fixed order, the same bits on every device. */
#define PUMICE_PRECISION_FLOAT16 1u
#define PUMICE_PRECISION_FLOAT32 2u
#define PUMICE_PRECISION_EXACT_FLOAT32 3u

#define PUMICE_ACTIVATE_NONE 0u
#define PUMICE_ACTIVATE_SILU 1u
#define PUMICE_ACTIVATE_GELU 2u       /* exact */
#define PUMICE_ACTIVATE_QUICK_GELU 3u /* x sigmoid(1.702 x) */
#define PUMICE_ACTIVATE_RELU 4u
#define PUMICE_ACTIVATE_LEAKY_RELU 5u /* slope * x below 0 */

typedef struct pumice_linear_options {
    uint32_t struct_size;
    pumice_weight weight; /* PUMICE_WEIGHT_LINEAR, _CONV of one tap, or _GEGLU: value * gelu(gate), half the columns */
    pumice_weight bias;   /* 0: none */
    pumice_node residual; /* of the output's shape, added last; 0: none */
    uint32_t activation;  /* PUMICE_ACTIVATE_... */
    float slope;          /* of LEAKY_RELU */
    uint32_t float32;     /* 1: the output is float32 whatever the precision */
} pumice_linear_options;

typedef struct pumice_conv2d_options {
    uint32_t struct_size;
    pumice_weight weight; /* PUMICE_WEIGHT_CONV */
    pumice_weight bias;
    pumice_node residual;
    pumice_node channel_add; /* {n, 1, 1, c} float32, added to every pixel of its picture before activation; 0: none */
    uint32_t stride;         /* 1 or 2 */
    uint32_t pad_top, pad_left, pad_bottom, pad_right; /* zeros around */
    uint32_t activation;
    float slope;
    uint32_t float32;
} pumice_conv2d_options;

/* Never grows. */
typedef struct pumice_graph_term {
    pumice_node x;
    float weight; /* finite */
} pumice_graph_term;

/* Bits of read_picture's `channels`. */
#define PUMICE_CHANNELS_RGB 7u
#define PUMICE_CHANNELS_ALPHA 8u
#define PUMICE_CHANNELS_RGBA 15u

#define PUMICE_RESAMPLE_NEAREST 0u /* pixel floor(i * in / out) */
#define PUMICE_RESAMPLE_BICUBIC 1u /* Keys 1981, a = -0.5, widened when it makes smaller */
#define PUMICE_RESAMPLE_LANCZOS 2u /* three lobes, widened when it makes smaller */

/* The tensor is rows [in_y, in_y + its rows) and columns [in_x, ...) of a picture of in_rows x in_columns, and rows
 * [out_y, out_y + rows) and columns [out_x, ...) of that picture at out_rows x out_columns are wanted: the same numbers
 * as from the whole, as long as the tensor reaches 3 / factor pixels (factor below 1), else 3, beyond what is wanted.
 */
typedef struct pumice_resample_options {
    uint32_t struct_size;
    uint32_t method;        /* PUMICE_RESAMPLE_... */
    uint32_t rows, columns; /* of the output */
    uint32_t window;        /* 0: the tensor is the picture, and what follows is not looked at. Not for NEAREST */
    uint32_t in_rows, in_columns, in_y, in_x;
    uint32_t out_rows, out_columns, out_y, out_x;
} pumice_resample_options;

typedef struct pumice_graph_info {
    uint32_t struct_size; /* set by the caller */
    uint32_t precision;   /* PUMICE_PRECISION_...: of the graphs that are built now */
    uint64_t
        binding_bytes;     /* the most bytes of a tensor that a plugin's kernel can be given; operators have no limit */
    uint64_t memory_bytes; /* free on the device now, about */
    uint32_t storage_16bit; /* 1 where shaders can store 16-bit types */
    uint32_t reserved;
} pumice_graph_info;

/* A program of the plugin's own. */
typedef struct pumice_program_options {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */
    const char* name;  /* in messages: "RRDBNet"; copied */
    /* Declares inputs, appends operators, declares outputs. Called within create; and again, with the same data, within
     * run when float16 was too small for the network, which is then built in float32: so `data` and all it needs lives
     * as long as the program, and the same inputs and outputs come in the same order. */
    pumice_sdk_status (*build)(void* data, pumice_graph graph);
    void* data;
} pumice_program_options;

/* Operators append to a graph and give their output; 0 when they could not. The first error stays with the graph: what
 * is asked of it after that does nothing and gives 0, and the error comes out of `check`, and of what builds the graph.
 * So a network reads as its formulas, and its weights need no checks of their own. */
typedef struct pumice_host_graph_1 {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */

    /* What the device and the user's settings allow. */
    pumice_sdk_status (*info)(const pumice_host* host, pumice_graph_info* info);

    /* ---- programs ---- */
    /* Builds, brings the weights to the device, plans and records. What `build` gave; PUMICE_SDK_INVALID_ARGUMENT with
     * the operator and the shapes; memory and device errors. Programs of one instance share memory for what is between
     * their operators. */
    pumice_sdk_status (*create)(const pumice_host* host, const pumice_program_options* options,
                                pumice_program* program);
    /* 0 is allowed. */
    void (*release)(const pumice_host* host, pumice_program program);
    /* Runs once with what the inputs hold, and waits. Outputs that are not finite are PUMICE_SDK_NOT_FINITE (after a
     * second try in float32 if it was float16). PUMICE_SDK_CANCELLED as pumice.progress/1 says. */
    pumice_sdk_status (*run)(const pumice_host* host, pumice_program program);
    /* All of input `index` (from 0, as declared): {n, h, w, c} floats, `count` of them. */
    pumice_sdk_status (*write)(const pumice_host* host, pumice_program program, uint32_t index, const float* values,
                               size_t count);
    pumice_sdk_status (*read)(const pumice_host* host, pumice_program program, uint32_t index, float* values,
                              size_t count);
    /* The rectangle of a picture at (x, y) into an input {1, h, w, 4}: levels as 0 to 1; the fourth channel is the
     * picture's alpha, or 0. Where the rectangle is outside, the nearest pixel of the picture's edge. */
    pumice_sdk_status (*write_picture)(const pumice_host* host, pumice_program program, uint32_t index,
                                       pumice_picture picture, int32_t x, int32_t y);
    /* width x height pixels of an output {1, h, w, 4} from (from_x, from_y) on into a picture at (x, y); both inside.
     * `channels`: bit i is set where channel i is to be written; the others, and an alpha that is not there, stay.
     * 8-bit levels are clamped and rounded to the nearest. */
    pumice_sdk_status (*read_picture)(const pumice_host* host, pumice_program program, uint32_t index, uint32_t from_x,
                                      uint32_t from_y, uint32_t width, uint32_t height, pumice_picture picture,
                                      uint32_t x, uint32_t y, uint32_t channels);

    /* ---- any graph ---- */
    /* PUMICE_SDK_OK, or the graph's first error. */
    pumice_sdk_status (*check)(const pumice_host* host, pumice_graph graph);
    /* Begins the labels of what is appended from here on, in messages and profiles: "conv_first"; NULL: none. */
    void (*set_scope)(const pumice_host* host, pumice_graph graph, const char* scope);
    /* {0, 0, 0, 0} for a node that is none. */
    pumice_shape (*shape)(const pumice_host* host, pumice_graph graph, pumice_node x);
    /* Programs alone: the next input, float32, all 0 until it is written; c is rounded up to a multiple of 4. */
    pumice_node (*input)(const pumice_host* host, pumice_graph graph, pumice_shape shape);
    /* Programs alone: the next output, read as float32. */
    void (*output)(const pumice_host* host, pumice_graph graph, pumice_node x);

    /* ---- operators ---- */
    /* activation(x w + bias) + residual; x {n, h, w, k}. */
    pumice_node (*linear)(const pumice_host* host, pumice_graph graph, pumice_node x,
                          const pumice_linear_options* options);
    /* activation(x * w + bias + channel_add) + residual. */
    pumice_node (*conv2d)(const pumice_host* host, pumice_graph graph, pumice_node x,
                          const pumice_conv2d_options* options);
    /* a {n, 1, M, K} by b {n, 1, K, N}, or {n, 1, N, K} where transpose_b is 1; times scale. */
    pumice_node (*matmul)(const pumice_host* host, pumice_graph graph, pumice_node a, pumice_node b,
                          uint32_t transpose_b, float scale);
    pumice_node (*softmax)(const pumice_host* host, pumice_graph graph, pumice_node x); /* over channels */
    pumice_node (*group_norm)(const pumice_host* host, pumice_graph graph, pumice_node x, pumice_weight gamma,
                              pumice_weight beta, uint32_t groups, float eps, uint32_t silu);
    pumice_node (*layer_norm)(const pumice_host* host, pumice_graph graph, pumice_node x, pumice_weight gamma,
                              pumice_weight beta, float eps); /* over channels */
    /* softmax(q k' scale) v a head; scale 0: 1 / sqrt(head size), which is a multiple of 4. */
    pumice_node (*attention)(const pumice_host* host, pumice_graph graph, pumice_node q, pumice_node k, pumice_node v,
                             uint32_t heads, float scale);
    pumice_node (*activation)(const pumice_host* host, pumice_graph graph, pumice_node x, uint32_t activation,
                              float slope);
    /* x above 0, slopes[channel] * x below. */
    pumice_node (*prelu)(const pumice_host* host, pumice_graph graph, pumice_node x, pumice_weight slopes);
    /* The sum of weight * x over 1 to 4 tensors of one shape and type: add, subtract, scale, a scaled residual. */
    pumice_node (*combine)(const pumice_host* host, pumice_graph graph, const pumice_graph_term* terms, uint32_t count);
    /* Channels of a, then of b. */
    pumice_node (*concat)(const pumice_host* host, pumice_graph graph, pumice_node a, pumice_node b);
    /* Other sizes, or a part of a larger picture's. */
    pumice_node (*resample)(const pumice_host* host, pumice_graph graph, pumice_node x,
                            const pumice_resample_options* options);
    /* {n, h, w, c r r} to {n, h r, w r, c}: channel c r r + i r + j is pixel (i, j) of a cell (Shi et al. 2016);
     * `channels` is the true c, which is padded to a multiple of 4. */
    pumice_node (*pixel_shuffle)(const pumice_host* host, pumice_graph graph, pumice_node x, uint32_t r,
                                 uint32_t channels);
    /* The other way: {n, h, w, c} to {n, h / r, w / r, channels r r}; h and w are multiples of r. */
    pumice_node (*pixel_unshuffle)(const pumice_host* host, pumice_graph graph, pumice_node x, uint32_t r,
                                   uint32_t channels);
    /* {n, 1, 1, dim} float32 of the first n numbers of `timesteps`: cos(t f_i), then sin(t f_i), f_i = 10000^(-i /
     * (dim/2)). */
    pumice_node (*timestep_embedding)(const pumice_host* host, pumice_graph graph, pumice_node timesteps, uint32_t n,
                                      uint32_t dim);
} pumice_host_graph_1;

#ifdef __cplusplus
}
#endif

#endif
