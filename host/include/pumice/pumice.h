/* Pumice: pictures from text with Stable Diffusion on any GPU with Vulkan. The API for programs that embed it; C11 and
 * C++.
 *
 *     pumice_engine* engine;    one device
 *     pumice_model* model;      one checkpoint on an engine
 *     pumice_request request;   what to make
 *     pumice_images* images;    what was made
 *
 * Conventions, for every function unless it says otherwise:
 *  - Errors: a pumice_status; PUMICE_OK is 0. `error` may be NULL; if it is not, a failure fills it with one line that
 *    says what went wrong, where, and what to do. Out-parameters are written on success, and set to NULL on failure.
 *  - Ownership: what a _create or _load function or pumice_generate gives belongs to the caller, who ends it with the
 *    matching _destroy. _destroy takes NULL. Pointers inside structs given by the library belong to the object they
 * were asked of and live as long as it. Arguments are read during the call only.
 *  - Lifetimes: objects keep what they need alive: a model may outlive its engine's handle, images their model's.
 *  - Threads: any function may be called on any thread. Requests of one engine run one after the other: a second call
 *    waits. Destroying an object while another thread uses that same object is an error of the caller.
 *  - Structs start with their size in bytes (struct_size), which says how much of them the caller's version knows; set
 * it with the PUMICE_..._INIT macro of the struct.
 *  - Text is UTF-8; paths are as the system takes them.
 *  - No exception crosses this interface, and nothing is printed.
 */
#ifndef PUMICE_PUMICE_H
#define PUMICE_PUMICE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(PUMICE_BUILDING_LIBRARY)
#define PUMICE_API __declspec(dllexport)
#else
#define PUMICE_API __declspec(dllimport)
#endif
#else
#define PUMICE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---------------------------------------------------------------------------------------------------- */

typedef enum pumice_status {
    PUMICE_OK = 0,
    PUMICE_INTERNAL = 1,         /* a bug of Pumice */
    PUMICE_INVALID_ARGUMENT = 2, /* a value outside its documented range */
    PUMICE_NOT_FOUND = 3,        /* a file or name that does not exist */
    PUMICE_IO = 4,               /* reading or writing failed (permission, full disk, ...) */
    PUMICE_BAD_FORMAT = 5,       /* a file that is damaged or not what it claims to be */
    PUMICE_UNSUPPORTED = 6,      /* well-formed, but not something this version handles */
    PUMICE_NO_DRIVER = 7,        /* no Vulkan loader or no driver on this machine */
    PUMICE_NO_DEVICE = 8,        /* drivers, but no device that matches the request */
    PUMICE_MISSING_FEATURE = 9,  /* the device lacks a required feature or limit */
    PUMICE_OUT_OF_HOST_MEMORY = 10,
    PUMICE_OUT_OF_DEVICE_MEMORY = 11,
    PUMICE_DEVICE_LOST = 12, /* stays: destroy the engine and create another */
    PUMICE_CANCELLED = 13,   /* as asked */
    PUMICE_NOT_FINITE = 14   /* the network gave NaN or infinity instead of a picture */
} pumice_status;

typedef struct pumice_error {
    size_t struct_size;
    pumice_status status;
    int32_t vk_result;  /* the VkResult behind it, 0 if none */
    char message[2032]; /* one line, ends with a 0; a longer one is cut */
} pumice_error;
#define PUMICE_ERROR_INIT \
    { sizeof(pumice_error), PUMICE_OK, 0, "" }

/* "bad_format" for PUMICE_BAD_FORMAT; "unknown" for a number that is no status. A constant; never NULL. */
PUMICE_API const char* pumice_status_name(pumice_status status);

/* ---- version --------------------------------------------------------------------------------------------------- */

typedef struct pumice_version {
    size_t struct_size;
    uint32_t major, minor, patch;
    const char* text;       /* "0.1.0" */
    const char* commit;     /* of the source tree, with "-dirty" if it was changed; "" if not known */
    const char* compiler;   /* "GCC 12.2.0" */
    uint32_t vulkan_header; /* as VK_MAKE_API_VERSION encodes it: what Pumice was built with */
    uint32_t vulkan_loader; /* what this machine's loader offers; 0 if there is none */
} pumice_version;
#define PUMICE_VERSION_INIT \
    { sizeof(pumice_version), 0, 0, 0, NULL, NULL, NULL, 0, 0 }

/* Fails only with PUMICE_INVALID_ARGUMENT, for a struct_size it cannot use. The texts are constants. */
PUMICE_API pumice_status pumice_get_version(pumice_version* version);

/* ---- devices --------------------------------------------------------------------------------------------------- */

typedef struct pumice_devices pumice_devices;

typedef struct pumice_device_info {
    size_t struct_size;
    const char* name;
    const char* type;    /* "discrete", "integrated", "virtual", "cpu", "other" */
    const char* driver;  /* "llvmpipe (Mesa 22.3.6)" */
    const char* uuid;    /* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx */
    uint64_t memory;     /* bytes of the largest device-local heap */
    const char* missing; /* what Pumice needs and the device lacks; "" if it can be used */
    const char* record;  /* JSON object: all limits and features that Pumice looks at */
} pumice_device_info;
#define PUMICE_DEVICE_INFO_INIT \
    { sizeof(pumice_device_info), NULL, NULL, NULL, NULL, 0, NULL, NULL }

/* The devices of this machine, the best first; one that two drivers show is listed once. The list may be empty.
 * PUMICE_NO_DRIVER if there is no Vulkan. */
PUMICE_API pumice_status pumice_devices_create(pumice_devices** devices, pumice_error* error);
PUMICE_API void pumice_devices_destroy(pumice_devices* devices);
PUMICE_API size_t pumice_devices_count(const pumice_devices* devices);
/* PUMICE_INVALID_ARGUMENT for an index that is not below the count. The texts belong to `devices`. */
PUMICE_API pumice_status pumice_devices_get(const pumice_devices* devices, size_t index, pumice_device_info* info,
                                            pumice_error* error);

/* ---- plugins --------------------------------------------------------------------------------------------------- */

typedef enum pumice_log_level {
    PUMICE_LOG_DEBUG = 0,
    PUMICE_LOG_INFO = 1,
    PUMICE_LOG_WARNING = 2,
    PUMICE_LOG_ERROR = 3 /* from here only messages of the validation layer */
} pumice_log_level;

/* The plugins of a machine: those that come with Pumice, and those of some folders. Samplers, schedules and
 * methods of guidance are theirs. */
typedef struct pumice_plugins pumice_plugins;

typedef struct pumice_plugin_folder {
    const char* path;  /* may be absent; searched two folders deep */
    const char* place; /* what lists call it: "user" */
} pumice_plugin_folder;

typedef struct pumice_plugin_options {
    size_t struct_size;
    const pumice_plugin_folder* folders; /* the first counts where two plugins have one id or one name */
    size_t folder_count;
    /* Where it is kept between runs what a plugin was found to be when it was tried out, which ones are off, and which
     * one's code runs now; NULL: nowhere. */
    const char* state_folder;
    double probe_seconds; /* how long a plugin may take to be tried out; 0: 10 */
    int32_t safe_mode;    /* 1: those that come with Pumice alone */
    int32_t probe_again;  /* 1: try all out again */
    void (*log)(void* user, pumice_log_level level, const char* line); /* as pumice_engine_options.log; NULL: silence */
    void* user;
} pumice_plugin_options;
#define PUMICE_PLUGIN_OPTIONS_INIT \
    { sizeof(pumice_plugin_options), NULL, 0, NULL, 0, 0, 0, NULL, NULL }

/* Looks through the folders. A plugin not seen before is tried out in a process of its own; what is broken is listed and
 * left out. options may be NULL. PUMICE_NOT_FOUND when the plugins that come with Pumice are missing. */
PUMICE_API pumice_status pumice_plugins_create(const pumice_plugin_options* options, pumice_plugins** plugins,
                                               pumice_error* error);
PUMICE_API void pumice_plugins_destroy(pumice_plugins* plugins);
/* All of them as a JSON object: "plugins" (id, version, kinds, place, file, status, reason, samplers and schedules with
 * their parameters, ...), "samplers", "schedules", "guidances", "controls", "upscalers", "preprocessors", "image_filters"
 * (the names there are), "crashed" (ids whose code ran when an earlier process ended). The text belongs to `plugins`; "{}"
 * for NULL. */
PUMICE_API const char* pumice_plugins_json(const pumice_plugins* plugins);
/* The names there are of each kind, by index from 0; NULL after the last. They belong to `plugins`. */
PUMICE_API const char* pumice_plugins_sampler(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_schedule(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_guidance(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_control(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_upscaler(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_preprocessor(const pumice_plugins* plugins, size_t index);
PUMICE_API const char* pumice_plugins_image_filter(const pumice_plugins* plugins, size_t index);
/* Leaves a plugin out, or takes it again, from the next pumice_plugins_create on. PUMICE_NOT_FOUND for an id there is
 * not; PUMICE_INVALID_ARGUMENT for one that comes with Pumice, or without a state_folder; PUMICE_IO. */
PUMICE_API pumice_status pumice_plugins_set_enabled(pumice_plugins* plugins, const char* id, int32_t enabled,
                                                    pumice_error* error);

/* What a check came to. */
typedef enum pumice_check_outcome {
    PUMICE_CHECK_PASSED = 0,
    PUMICE_CHECK_FAILED = 1,
    PUMICE_CHECK_NOT_RUN = 2 /* something is lacking here: a device, a file */
} pumice_check_outcome;

typedef struct pumice_verify_options {
    size_t struct_size;
    double seconds; /* how long one check may take; 0: 30 */
    /* Hears of each check as it ends, on the thread of the call; `outcome` is a pumice_check_outcome, `why` "" when it
     * passed. NULL: none. */
    void (*on_check)(void* user, const char* check, int32_t outcome, const char* why);
    void* user;
    const char* device; /* as pumice_engine_options.device; "none": none, and what needs one is not run */
    /* What plugins need to be run and the checks cannot make: "NAME=FILE", the model of the upscaler or control network
     * NAME, or "METHOD.PARAM=FILE", a parameter of type file. */
    const char* const* files;
    size_t file_count;
} pumice_verify_options;
#define PUMICE_VERIFY_OPTIONS_INIT \
    { sizeof(pumice_verify_options), 0, NULL, NULL, NULL, NULL, 0 }

/* Holds a plugin's library against what the plugin interface asks of it, in processes of its own: for those who write
 * plugins. Failed checks are no error; *report is a JSON object with "plugins" (as in pumice_plugins_json), "checks"
 * ("check", "why" it failed, "not_run": what it lacked), "failed" and "not_run", how many those are. options may be NULL.
 * The text goes with pumice_string_destroy.
 * PUMICE_NOT_FOUND for no such file; PUMICE_INVALID_ARGUMENT for an option that is none. */
PUMICE_API pumice_status pumice_plugin_verify(const char* library, const pumice_verify_options* options, char** report,
                                              pumice_error* error);

/* ---- engine ---------------------------------------------------------------------------------------------------- */

typedef struct pumice_engine pumice_engine;

typedef struct pumice_engine_options {
    size_t struct_size;
    const char* device;        /* NULL or "": the best; else an index, a UUID (or its first 8 digits), or a part of
                                  the name */
    const char* cache_folder;  /* where compiled pipelines are kept between runs; NULL: nowhere */
    const char* shader_folder; /* for developers: compile shaders from here, not those built in; NULL: built in */
    int32_t validation;        /* 1: load VK_LAYER_KHRONOS_validation, PUMICE_NOT_FOUND if it is absent */
    /* Called with one line, without line end; on any thread, one call at a time; until the engine and its models are
     * destroyed. NULL: silence. */
    void (*log)(void* user, pumice_log_level level, const char* line);
    void* user; /* given to `log` */
    const pumice_plugins* plugins; /* may be destroyed afterwards; NULL: those that come with Pumice */
    int32_t profile; /* 1: what the device does for a request is timed kernel by kernel: pumice_images_profile */
} pumice_engine_options;
#define PUMICE_ENGINE_OPTIONS_INIT \
    { sizeof(pumice_engine_options), NULL, NULL, NULL, 0, NULL, NULL, NULL, 0 }

/* Opens a device. options may be NULL. PUMICE_NO_DRIVER, PUMICE_NO_DEVICE (the message lists what there is),
 * PUMICE_MISSING_FEATURE, memory. */
PUMICE_API pumice_status pumice_engine_create(const pumice_engine_options* options, pumice_engine** engine,
                                              pumice_error* error);
PUMICE_API void pumice_engine_destroy(pumice_engine* engine);
/* The device in use. The texts belong to the engine. */
PUMICE_API pumice_status pumice_engine_device(const pumice_engine* engine, pumice_device_info* info,
                                              pumice_error* error);
/* Measures in some seconds what the device can do at most, as a JSON object: "fp32_gflops", "fp16_gflops", "int8_gops" and
 * "matrix_gflops" (null where the device, or this build, has no such arithmetic), "copy_gbps" (bytes read and bytes written,
 * both counted), "launch_seconds" (of an empty submission, waited for), "dispatch_seconds" (of one more dispatch in it),
 * "largest_buffer" (bytes). The text goes with pumice_string_destroy. */
PUMICE_API pumice_status pumice_engine_peaks(pumice_engine* engine, char** json, pumice_error* error);

/* ---- models ---------------------------------------------------------------------------------------------------- */

typedef struct pumice_model pumice_model;

typedef enum pumice_precision {
    PUMICE_PRECISION_AUTO = 0, /* fp16 where the device has 16-bit storage, else fp32 */
    PUMICE_PRECISION_FP16 = 1, /* fp16 storage, fp32 accumulation; what overflows is done again in fp32 */
    PUMICE_PRECISION_FP32 = 2,
    PUMICE_PRECISION_EXACT = 3 /* fp32 in a fixed order: the same bytes on every device and driver; slower */
} pumice_precision;

typedef enum pumice_prediction {
    PUMICE_PREDICTION_AUTO = 0, /* what the file says, or its weights show */
    PUMICE_PREDICTION_EPS = 1,  /* the noise */
    PUMICE_PREDICTION_V = 2,
    PUMICE_PREDICTION_V_ZERO_SNR = 3 /* v, trained up to pure noise */
} pumice_prediction;

typedef struct pumice_model_options {
    size_t struct_size;
    pumice_precision precision;
    uint64_t memory_limit; /* bytes of device memory for weights and activations, in a request of this model the limit of
                            * all that the engine holds; 0: what the device has free */
    const char* vae;          /* a file with the autoencoder to use instead of the model's, or NULL */
    const char* text_encoder; /* likewise the text encoder */
    pumice_prediction prediction; /* what the UNet was trained to give */
} pumice_model_options;
#define PUMICE_MODEL_OPTIONS_INIT \
    { sizeof(pumice_model_options), PUMICE_PRECISION_AUTO, 0, NULL, NULL, PUMICE_PREDICTION_AUTO }

/* Opens and checks a checkpoint of Stable Diffusion 1, 2, XL or XL's refiner: a single file (safetensors, PyTorch's .ckpt,
 * GGUF), an index of shards, or a folder as diffusers saves it; what it is shows in its bytes, not in its name. Nothing of
 * a PyTorch file is run. Files are mapped, and weights go to the device when a request first needs them; they must not
 * change while the model lives. A vocab.json and merges.txt beside the file, or in the folder's tokenizer/, replace the
 * tokenizer that is built in. options may be NULL. PUMICE_NOT_FOUND, PUMICE_IO,
 * PUMICE_BAD_FORMAT (damaged; names the tensor), PUMICE_UNSUPPORTED (another family). */
PUMICE_API pumice_status pumice_model_load(pumice_engine* engine, const char* path, const pumice_model_options* options,
                                           pumice_model** model, pumice_error* error);
PUMICE_API void pumice_model_destroy(pumice_model* model);

/* What a weight file or a model's folder holds, as a JSON object: file, format, bytes, sha256, family, geometry (of a
 * family this version runs, else null), dtypes, parameters, metadata. Needs no device. The text is released with
 * pumice_string_destroy. PUMICE_NOT_FOUND, PUMICE_IO, PUMICE_BAD_FORMAT. */
PUMICE_API pumice_status pumice_inspect_file(const char* path, char** json, pumice_error* error);
/* As much of it as needs only the file's header: file, format, bytes, family, tensors, parameters, dtypes, metadata; in
 * milliseconds, whatever the size. */
PUMICE_API pumice_status pumice_describe_file(const char* path, char** json, pumice_error* error);
PUMICE_API void pumice_string_destroy(char* string);

/* SHA-256 of a file, 64 hexadecimal digits and a 0. Of a folder with a model: of a list of its weight files, a line each
 * of digest, two spaces and name. PUMICE_NOT_FOUND, PUMICE_IO. */
PUMICE_API pumice_status pumice_file_sha256(const char* path, char digits[65], pumice_error* error);

/* ---- cancelling ------------------------------------------------------------------------------------------------ */

/* A flag that stops requests. */
typedef struct pumice_cancel pumice_cancel;

/* NULL when there is no memory. It must outlive the requests that name it. */
PUMICE_API pumice_cancel* pumice_cancel_create(void);
PUMICE_API void pumice_cancel_destroy(pumice_cancel* cancel);
/* Running and coming requests that name it end with PUMICE_CANCELLED, the running one within a fraction of a second.
 * Any thread, also a signal handler. */
PUMICE_API void pumice_cancel_set(pumice_cancel* cancel);
/* Requests may run again, to their end. */
PUMICE_API void pumice_cancel_reset(pumice_cancel* cancel);
/* Running and coming pumice_generate that name it end their steps with the one that runs, and give what the network sees in
 * the picture then; a second pass that has not begun is left out. The report's "stopped_at" tells the step. Any thread, also
 * a signal handler. */
PUMICE_API void pumice_cancel_finish(pumice_cancel* cancel);
/* The pumice_generate that runs, or else the next, ends with PUMICE_CANCELLED; those after it run. Any thread, also a signal
 * handler. */
PUMICE_API void pumice_cancel_skip(pumice_cancel* cancel);

/* ---- model files ----------------------------------------------------------------------------------------------- */

typedef struct pumice_verify_model_options {
    size_t struct_size;
    /* Called on the thread of the call, a few times a second or more: bytes read of all. NULL: none. */
    void (*on_progress)(void* user, uint64_t done, uint64_t total);
    void* user;
    const pumice_cancel* cancel; /* NULL: none */
} pumice_verify_model_options;
#define PUMICE_VERIFY_MODEL_OPTIONS_INIT \
    { sizeof(pumice_verify_model_options), NULL, NULL, NULL }

/* Whether a model file is sound. What is wrong is no error but in *json, an object: file, format, family, bytes, sha256,
 * tensors, not_finite (tensors with "nan" and "infinite" elements, and how many there are), incomplete (what is missing or
 * misshapen of its family's tensors, one line; "": nothing, or a family that this version does not know so well). Needs no
 * device. options may be NULL. The text goes with pumice_string_destroy. PUMICE_NOT_FOUND, PUMICE_IO, PUMICE_BAD_FORMAT (no
 * file of weights), PUMICE_CANCELLED. */
PUMICE_API pumice_status pumice_verify_model(const char* path, const pumice_verify_model_options* options, char** json,
                                             pumice_error* error);

/* How a model is written to a file or a folder. */
typedef struct pumice_write_options {
    size_t struct_size;
    const char* format; /* "safetensors", "ckpt" (PyTorch's zip archive), "gguf" or "diffusers" (a folder); NULL or "": by
                           the ending of the output's name, a folder without a known one */
    const char* type;   /* of the weights: "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"; and in GGUF "q8_0", "q4_0",
                           "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", for matrices, with fp16 for the
                           rest. NULL or "": as they are */
    int32_t prune;      /* 1: without what only training needs: averages (EMA), optimizer, loss, noise schedule */
    int32_t ema;        /* 1: the UNet's averaged weights in place of the last */
    int32_t overwrite;  /* 1: what is there under the output's name is replaced */
    const char* vae;          /* a file whose autoencoder takes the place of the model's; NULL or "": none */
    const char* text_encoder; /* likewise the text encoder */
    /* Called on the thread of the call, a few times a second or more: bytes written of all. NULL: none. */
    void (*on_progress)(void* user, uint64_t done, uint64_t total);
    void* user;
    const pumice_cancel* cancel; /* NULL: none */
} pumice_write_options;
#define PUMICE_WRITE_OPTIONS_INIT \
    { sizeof(pumice_write_options), NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL }

/* Writes a model again: in another format, with other types, or without what is not needed. Tensor by tensor, so memory
 * stays at some MiB whatever the size; the output appears when it is whole, and after an error nothing is left of it.
 * Needs no device. *report is a JSON object: file, format, bytes, tensors, dtypes, notes; it goes with
 * pumice_string_destroy. options may be NULL. PUMICE_NOT_FOUND; PUMICE_IO (also for an output that is there already);
 * PUMICE_BAD_FORMAT; PUMICE_UNSUPPORTED (a tensor or family that the format cannot have, a value beyond the type's range);
 * PUMICE_CANCELLED. */
PUMICE_API pumice_status pumice_convert(const char* model, const char* output, const pumice_write_options* options,
                                        char** report, pumice_error* error);

typedef enum pumice_merge_method {
    PUMICE_MERGE_WEIGHTED_SUM = 0,   /* A * (1 - alpha) + B * alpha */
    PUMICE_MERGE_ADD_DIFFERENCE = 1, /* A + (B - C) * alpha */
    PUMICE_MERGE_SLERP = 2           /* from A to B along the great circle between each tensor's directions */
} pumice_merge_method;

typedef struct pumice_merge_request {
    size_t struct_size;
    const char *a, *b, *c; /* models; c is for PUMICE_MERGE_ADD_DIFFERENCE alone, else NULL */
    pumice_merge_method method;
    double alpha;         /* 0...1; of PUMICE_MERGE_ADD_DIFFERENCE 0...2 */
    const double* blocks; /* alpha of each block of the UNet, input blocks, middle, output blocks (SD 1 and 2: 25); */
    size_t block_count;   /* 0: alpha everywhere */
} pumice_merge_request;
#define PUMICE_MERGE_REQUEST_INIT \
    { sizeof(pumice_merge_request), NULL, NULL, NULL, PUMICE_MERGE_WEIGHTED_SUM, 0.5, NULL, 0 }

/* Merges models into one, in the types of `a` or of the options; streaming, report and errors as pumice_convert's.
 * PUMICE_INVALID_ARGUMENT names the field; PUMICE_BAD_FORMAT a tensor of another shape. */
PUMICE_API pumice_status pumice_merge(const pumice_merge_request* request, const char* output,
                                      const pumice_write_options* options, char** report, pumice_error* error);

/* A LoRA or LyCORIS to merge into a model: for one request, or for good. */
typedef struct pumice_adapter {
    size_t struct_size;
    const char* file;
    float text_weight, unet_weight; /* -1000 to 1000 */
} pumice_adapter;
#define PUMICE_ADAPTER_INIT \
    { sizeof(pumice_adapter), NULL, 1, 1 }

typedef struct pumice_bake_request {
    size_t struct_size;
    const char* model;
    const pumice_adapter* const* adapters; /* merged in this order; at least one */
    size_t adapter_count;
} pumice_bake_request;
#define PUMICE_BAKE_REQUEST_INIT \
    { sizeof(pumice_bake_request), NULL, NULL, 0 }

/* Writes a model with adapters merged into its weights, in the types of the model or of the options: what a request with
 * those adapters computes, but rounded to these types. Tensor by tensor; report and errors as pumice_convert's, and those
 * of adapters: PUMICE_UNSUPPORTED for one of another family, PUMICE_BAD_FORMAT for a misshapen tensor. */
PUMICE_API pumice_status pumice_bake(const pumice_bake_request* request, const char* output,
                                     const pumice_write_options* options, char** report, pumice_error* error);

typedef struct pumice_extract_request {
    size_t struct_size;
    const char *tuned, *base; /* models; tuned was trained from base */
    uint32_t rank;            /* 1...4096 */
    uint32_t conv_rank;       /* of convolutions larger than 1x1; 0: the same */
} pumice_extract_request;
#define PUMICE_EXTRACT_REQUEST_INIT \
    { sizeof(pumice_extract_request), NULL, NULL, 32, 0 }

/* Writes the difference of two models as a LoRA under kohya's names, of each layer the best of that rank. Of the options
 * those of parts and of what to leave out do not count; fp16 by default. The report has "captured" beside, the share of
 * the difference's squares that the LoRA has. Errors as pumice_convert's; PUMICE_UNSUPPORTED when nothing differs,
 * PUMICE_BAD_FORMAT for a tensor of another shape. */
PUMICE_API pumice_status pumice_extract(const pumice_extract_request* request, const char* output,
                                        const pumice_write_options* options, char** report, pumice_error* error);

/* ---- pictures -------------------------------------------------------------------------------------------------- */

typedef enum pumice_rng {
    PUMICE_RNG_TORCH_CPU = 0, /* as PyTorch's CPU generator; the low 32 bits of the seed */
    PUMICE_RNG_PHILOX = 1     /* as PyTorch's CUDA generator; all 64 bits of the seed */
} pumice_rng;

typedef enum pumice_stage {
    PUMICE_STAGE_LOAD = 0,  /* the network is on the device, its kernels are compiled */
    PUMICE_STAGE_TEXT = 1,  /* the prompts have been encoded */
    PUMICE_STAGE_STEP = 2,  /* a denoising step has ended */
    PUMICE_STAGE_DECODE = 3 /* a picture has been decoded */
} pumice_stage;

typedef struct pumice_progress {
    size_t struct_size;
    pumice_stage stage;
    uint32_t step, steps; /* PUMICE_STAGE_STEP: step 1...steps has ended; DECODE: pictures of the batch */
    double seconds;       /* since the request began */
} pumice_progress;

typedef enum pumice_preview_method {
    PUMICE_PREVIEW_LATENT_RGB = 0, /* an eighth of the picture's size, from the latent's channels: costs next to nothing */
    PUMICE_PREVIEW_TAESD = 1       /* of the picture's size, by the tiny autoencoder */
} pumice_preview_method;

/* What a picture looks like while it is made. */
typedef struct pumice_preview {
    size_t struct_size;
    uint32_t step, steps;       /* as the network sees the picture at the beginning of this step, 1...steps */
    uint32_t picture, pictures; /* which of the batch, from 0 */
    uint32_t width, height;     /* pixels */
    const uint8_t* rgb;         /* 3 bytes a pixel, row by row from the top, no padding; valid during the call */
} pumice_preview;

typedef enum pumice_control_mode {
    PUMICE_CONTROL_BALANCED = 0,
    PUMICE_CONTROL_PROMPT = 1, /* the prompt counts more */
    PUMICE_CONTROL_CONTROL = 2 /* the control counts more */
} pumice_control_mode;

typedef enum pumice_resize_mode {
    PUMICE_RESIZE_STRETCH = 0,
    PUMICE_RESIZE_CROP = 1, /* as small as covers the picture; what is outside is cut off */
    PUMICE_RESIZE_FILL = 2  /* as large as fits into it; the colour of its border around */
} pumice_resize_mode;

/* A picture to follow, and the network that looks at it. */
typedef struct pumice_control {
    size_t struct_size;
    const char* model;      /* file: a ControlNet or what else the plugins run (pumice_plugins_control) */
    const char* method;     /* which of them; NULL or "": the one that takes the file */
    const uint8_t* rgb;     /* 3 bytes a pixel, row by row from the top; of any size */
    uint32_t width, height; /* pixels */
    const char* preprocessor; /* what is done to it first (pumice_plugins_preprocessor), with its parameters in
                                 plugin_params; NULL or "": nothing, it is edges, depth, ... as it is */
    float weight;             /* 0 to 10; 1: as it was trained, 0: none */
    float start, end;         /* shares of the steps between which it counts, 0 to 1 */
    pumice_control_mode mode;
    pumice_resize_mode resize;
} pumice_control;
#define PUMICE_CONTROL_INIT \
    { sizeof(pumice_control), NULL, NULL, NULL, 0, 0, NULL, 1, 0, 1, PUMICE_CONTROL_BALANCED, PUMICE_RESIZE_CROP }

/* What the network begins with where the mask is. */
typedef enum pumice_mask_fill {
    PUMICE_MASK_ORIGINAL = 0, /* what is there */
    PUMICE_MASK_FILL = 1,     /* the colours around it */
    PUMICE_MASK_NOISE = 2,    /* noise in the latent */
    PUMICE_MASK_NOTHING = 3   /* zeros in the latent */
} pumice_mask_fill;

/* A picture to begin with. */
typedef struct pumice_init_picture {
    size_t struct_size;
    uint32_t width, height; /* pixels, any */
    const uint8_t* rgb;     /* 3 bytes a pixel, row by row from the top, no padding */
    uint32_t mask_width, mask_height;
    const uint8_t* mask;   /* 1 byte a pixel: 255 is painted anew, 0 is kept as it is; NULL: all is painted anew */
    float strength;        /* 0...1: how much of the steps is done; 0 keeps the picture */
    pumice_resize_mode resize;  /* how it comes to the request's size */
    float mask_blur;       /* pixels, 0...64 */
    pumice_mask_fill fill;
    int32_t only_masked;   /* 1: what lies around the mask is painted at the request's size, and laid back */
    uint32_t mask_padding; /* pixels around it, 0...4096 */
    float image_guidance_scale; /* 0...100; of models that edit pictures: how closely to follow it */
    /* Pixels added at the edges, and painted: outpainting. The request's size is that of all of it. */
    uint32_t extend_left, extend_top, extend_right, extend_bottom;
} pumice_init_picture;
#define PUMICE_INIT_PICTURE_INIT                                                                                     \
    {                                                                                                                \
        sizeof(pumice_init_picture), 0, 0, NULL, 0, 0, NULL, 0.75f, PUMICE_RESIZE_STRETCH, 4, PUMICE_MASK_ORIGINAL, 0, \
            32, 1.5f, 0, 0, 0, 0                                                                                     \
    }

/* How weights in a prompt ("(word:1.2)") act. */
typedef enum pumice_emphasis {
    PUMICE_EMPHASIS_ORIGINAL = 0, /* the mean of a chunk's states is restored after they are weighted */
    PUMICE_EMPHASIS_NO_NORM = 1   /* it is not */
} pumice_emphasis;

/* A second pass at a larger size over what the first one made. */
typedef struct pumice_hires {
    size_t struct_size;
    uint32_t width, height;     /* of the result: multiples of 8, no smaller than the request's */
    uint32_t steps;             /* that are done, up to 1000; 0: the request's */
    float strength;             /* above 0, up to 1: how much may change */
    const char* sampler;        /* NULL or "": the request's */
    const char* upscaler;       /* see pumice_plugins_upscaler; NULL or "": the first that the model is for, and without a
                                   model the latent is enlarged */
    const char* upscaler_model; /* a file, for upscalers that need one */
} pumice_hires;
#define PUMICE_HIRES_INIT \
    { sizeof(pumice_hires), 0, 0, 0, 0.7f, NULL, NULL, NULL }

typedef struct pumice_request {
    size_t struct_size;
    /* NULL is "". "<lora:NAME:WEIGHT>" or "<lora:NAME:TEXT_WEIGHT:UNET_WEIGHT>" in it merges an adapter of adapter_folders
     * and is no text. */
    const char* prompt;
    const char* negative_prompt; /* NULL is "" */
    uint32_t width, height;      /* pixels, multiples of 8 from 64 to 16384 */
    uint32_t steps;              /* 1...1000 */
    float guidance_scale;        /* 0...100; 1 or less: without guidance, which halves the work */
    const char* sampler;         /* see pumice_plugins_sampler */
    const char* schedule;        /* see pumice_plugins_schedule */
    uint64_t seed;               /* picture i of the batch has seed + i */
    pumice_rng rng;
    uint32_t batch;     /* pictures, 1...64 */
    uint32_t clip_skip; /* 1: the text encoder's last layer counts, 2: the one before, ... */
    /* Called on the thread of pumice_generate, which it must not call in turn; it may set `cancel`. NULL: none. */
    void (*on_progress)(void* user, const pumice_progress* progress);
    void* user;                  /* given to on_progress */
    const pumice_cancel* cancel; /* NULL: none */
    /* Parameters of the sampler, the schedule and the guidance: "sampler.eta=0.5", "schedule.rho=5", "guidance.phi=0.3";
     * those not given have their defaults. */
    const char* const* plugin_params;
    size_t plugin_param_count;
    const char* const* filters; /* image filters (pumice_plugins_image_filter), one after the other; their parameters are
                                   "image_filter.NAME=..." above, for each filter that has them */
    size_t filter_count;
    /* How the answers with and without the prompt are joined: see pumice_plugins_guidance. NULL or "": plainly, uncond +
     * guidance_scale * (cond - uncond), in one evaluation. */
    const char* guidance;
    const pumice_control* const* controls; /* pictures to follow, at most 16 */
    size_t control_count;
    /* Adapters, before those that the prompt names. They are in the weights while the request runs and as long as the
     * next ones ask for the same; then the model is what it was, to the bit. */
    const pumice_adapter* const* adapters;
    size_t adapter_count;
    const char* const* adapter_folders; /* where the names of the prompt are looked for, sub-folders included */
    size_t adapter_folder_count;
    /* NULL: from noise alone. With a mask outside of which it is kept; the result has its size when only_masked is set. */
    const pumice_init_picture* picture;
    /* What SD XL is told of the picture, in pixels; 0: the request's size. Cropped from where, of an original how large. */
    uint32_t original_width, original_height, crop_left, crop_top, target_width, target_height;
    float aesthetic_score, negative_aesthetic_score; /* what SD XL's refiner is told */
    /* A model of the same engine that takes over where the model's time that is gone exceeds refiner_switch, 0...1 of the
     * way from pure noise. NULL: none. */
    pumice_model* refiner;
    float refiner_switch;
    /* How far the noise goes towards that of variation_seed, 0...1. Beyond 0 all pictures have `seed`, and picture i the
     * variation variation_seed + i. */
    float variation_strength;
    uint64_t variation_seed;
    /* Pixels, multiples of 8: the noise, and so the picture, resembles that of this size. 0: of the request's. */
    uint32_t seed_width, seed_height;
    /* Added to the seed of the noise that samplers draw on the way (AUTOMATIC1111's ENSD, often 31337); 0: none. */
    uint64_t eta_seed_delta;
    int32_t seamless_x, seamless_y; /* 1: the picture can be laid beside itself, side by side, or one above the other */
    /* Embeddings (textual inversion): where a prompt has a file's name, without its ending, its vectors stand. */
    const char* const* embedding_folders;
    size_t embedding_folder_count;
    pumice_emphasis emphasis;
    const pumice_hires* hires; /* NULL: one pass. Not with a picture; the refiner is then of the second pass */
    /* Pixels, multiples of 8, 64...16384: the network sees tiles of this size (MultiDiffusion), so that its memory is that
     * of a tile; they overlap by tile_overlap at least, which is below both. 0: all of that side. Not with controls. */
    uint32_t tile_width, tile_height, tile_overlap;
    /* Ends as pumice_cancel_finish does at this step, counted from 1 over both passes; 0: at the end. */
    uint32_t stop_at;
    /* Called every that many steps for each picture of the batch, as on_progress with `user`. 0 or NULL: never. The pictures
     * are the same with and without. */
    uint32_t preview_every;
    pumice_preview_method preview_method;
    const char* preview_model; /* file of TAESD's decoder; NULL or "": the model's, where that is TAESD */
    void (*on_preview)(void* user, const pumice_preview* preview);
} pumice_request;
/* Not yet valid: pumice_model_defaults fills it. */
#define PUMICE_REQUEST_INIT                                                                                              \
    {                                                                                                                    \
        sizeof(pumice_request), NULL, NULL, 0, 0, 0, 0, NULL, NULL, 0, PUMICE_RNG_TORCH_CPU, 0, 0, NULL, NULL, NULL, NULL, \
            0, NULL, 0, NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, \
            PUMICE_EMPHASIS_ORIGINAL, NULL, 0, 0, 0, 0, 0, PUMICE_PREVIEW_LATENT_RGB, NULL, NULL                         \
    }

/* Fills in what suits the model: size, steps, guidance, sampler, schedule, ...; prompts, callbacks and seed are left as
 * they are. Texts belong to the model. From the file's metadata (`pumice.defaults`), else from its geometry.
 * PUMICE_INVALID_ARGUMENT for a struct_size it cannot use. */
PUMICE_API pumice_status pumice_model_defaults(const pumice_model* model, pumice_request* request, pumice_error* error);

/* How a request would use the device's memory, as a JSON object: budget, free and peak in bytes, and stages (text_encoder,
 * unet, vae) with weights, activations, peak, and the choice made: resident or streamed (bytes that come and go in one
 * evaluation, in how many parts), whole or tiled (how many tiles, how large). Of the request the size, the batch and the
 * guidance scale count; what the controls, a refiner and plugins need is not in it. Nothing is loaded. The text is
 * released with pumice_string_destroy. PUMICE_INVALID_ARGUMENT; PUMICE_OUT_OF_DEVICE_MEMORY where nothing would do. */
PUMICE_API pumice_status pumice_model_plan(pumice_model* model, const pumice_request* request, char** json,
                                           pumice_error* error);

/* A prompt in which each seed chooses for itself: "__NAME__" is a line of NAME.txt in the folders or those in them, "{a|b}"
 * one of these, "{2$$a|b|c}" two of them, "{0.3::a|b}" has chances; they nest. The same seed gives the same text on every
 * machine. The text is released with pumice_string_destroy. PUMICE_NOT_FOUND for a wildcard there is not;
 * PUMICE_INVALID_ARGUMENT for what never ends. */
PUMICE_API pumice_status pumice_expand_wildcards(const char* prompt, uint64_t seed, const char* const* folders,
                                                 size_t folder_count, char** expanded, pumice_error* error);

typedef struct pumice_images pumice_images;

typedef struct pumice_image {
    size_t struct_size;
    uint32_t width, height; /* pixels */
    const uint8_t* rgb;     /* 3 bytes a pixel, row by row from the top, no padding; belongs to the images */
    uint64_t seed;
} pumice_image;
#define PUMICE_IMAGE_INIT \
    { sizeof(pumice_image), 0, 0, NULL, 0 }

/* Makes the pictures of a request; returns when they are there. The same request on the same device and precision gives
 * the same bytes. PUMICE_INVALID_ARGUMENT names the field; PUMICE_NOT_FOUND for an adapter there is not, PUMICE_BAD_FORMAT
 * for a damaged one, PUMICE_UNSUPPORTED for one of another family; PUMICE_CANCELLED; PUMICE_NOT_FINITE when the weights are
 * damaged; memory and device errors. After an error the model can be used again, unless the device was lost. */
PUMICE_API pumice_status pumice_generate(pumice_model* model, const pumice_request* request, pumice_images** images,
                                         pumice_error* error);
PUMICE_API void pumice_images_destroy(pumice_images* images);
PUMICE_API size_t pumice_images_count(const pumice_images* images);
/* PUMICE_INVALID_ARGUMENT for an index that is not below the count. */
PUMICE_API pumice_status pumice_images_get(const pumice_images* images, size_t index, pumice_image* image,
                                           pumice_error* error);
/* How they were made, as a JSON object: precision, timings by stage in seconds, memory peaks in bytes, the adapters
 * and embeddings with their hashes, notes. The text belongs to the images. */
PUMICE_API const char* pumice_images_report(const pumice_images* images);
/* What the device did meanwhile, as a JSON object in Chrome's trace format (chrome://tracing, Perfetto): a span for each
 * run of a recorded program on the host's clock, one for each dispatch on the device's, and under "pumice" the sums:
 * "stages", "kernels" (by stage, kernel, variant and constants), seconds, FLOP, bytes. "{}" unless the engine was opened
 * with `profile`. The text belongs to the images. */
PUMICE_API const char* pumice_images_profile(const pumice_images* images);

/* ---- from picture to picture ------------------------------------------------------------------------------------ */

typedef struct pumice_bitmap {
    size_t struct_size;
    uint32_t width, height; /* pixels, 1...65536 */
    uint32_t channels;      /* 3: RGB; 4: RGBA, alpha not multiplied in */
    const uint8_t* pixels;  /* row by row from the top, no padding */
} pumice_bitmap;
#define PUMICE_BITMAP_INIT \
    { sizeof(pumice_bitmap), 0, 0, 0, NULL }

/* A picture that was made of another. */
typedef struct pumice_made_bitmap pumice_made_bitmap;
PUMICE_API void pumice_made_bitmap_destroy(pumice_made_bitmap* made);
/* The pixels belong to `made`. PUMICE_INVALID_ARGUMENT for NULL. */
PUMICE_API pumice_status pumice_made_bitmap_get(const pumice_made_bitmap* made, pumice_bitmap* bitmap,
                                                pumice_error* error);
/* How, as a JSON object: what made it ("upscaler", "preprocessor"), precision, seconds. The text belongs to `made`. */
PUMICE_API const char* pumice_made_bitmap_report(const pumice_made_bitmap* made);

typedef struct pumice_upscale_request {
    size_t struct_size;
    pumice_bitmap bitmap; /* alpha is kept */
    const char* upscaler; /* see pumice_plugins_upscaler; NULL or "": the first that the model is for */
    const char* model;    /* file of weights; NULL or "": none */
    double scale;         /* 1/16...64, whatever the model's own; 0: that */
    pumice_precision precision;
    const char* const* plugin_params; /* "upscaler.tile=512" */
    size_t plugin_param_count;
    void (*on_progress)(void* user, const pumice_progress* progress); /* PUMICE_STAGE_STEP: a tile has ended; as in
                                                                         pumice_request */
    void* user;
    const pumice_cancel* cancel;
} pumice_upscale_request;
#define PUMICE_UPSCALE_REQUEST_INIT \
    { sizeof(pumice_upscale_request), PUMICE_BITMAP_INIT, NULL, NULL, 0, PUMICE_PRECISION_AUTO, NULL, 0, NULL, NULL, NULL }

/* Makes a picture larger: each side times the scale, rounded. PUMICE_INVALID_ARGUMENT names the field; PUMICE_NOT_FOUND for
 * an upscaler or file there is not; PUMICE_UNSUPPORTED for a model that no upscaler knows; file, memory and device errors;
 * PUMICE_CANCELLED. */
PUMICE_API pumice_status pumice_upscale(pumice_engine* engine, const pumice_upscale_request* request,
                                        pumice_made_bitmap** made, pumice_error* error);

typedef struct pumice_preprocess_request {
    size_t struct_size;
    pumice_bitmap bitmap;     /* width 0: none, for preprocessors that draw from their parameters alone */
    const char* preprocessor; /* see pumice_plugins_preprocessor */
    uint32_t width, height;   /* of what is drawn, where no bitmap is given; else 0: the bitmap's */
    uint64_t seed;            /* for those that are random */
    pumice_precision precision;
    const char* const* plugin_params; /* "preprocessor.low=100" */
    size_t plugin_param_count;
    const pumice_cancel* cancel;
} pumice_preprocess_request;
#define PUMICE_PREPROCESS_REQUEST_INIT \
    { sizeof(pumice_preprocess_request), PUMICE_BITMAP_INIT, NULL, 0, 0, 0, PUMICE_PRECISION_AUTO, NULL, 0, NULL }

/* Makes the picture that a control network is given: RGB. Errors as pumice_upscale. */
PUMICE_API pumice_status pumice_preprocess(pumice_engine* engine, const pumice_preprocess_request* request,
                                           pumice_made_bitmap** made, pumice_error* error);

/* ---- the benchmark ---------------------------------------------------------------------------------------------- */

typedef struct pumice_bench_options {
    size_t struct_size;
    const char* device; /* as pumice_engine_options.device */
    pumice_precision precision;
    int32_t quick;             /* 1: the small profiles; `model` is then the starter model's file */
    const char* model;         /* the checkpoint to measure with; NULL or "": random weights from a fixed seed */
    const char* control_model; /* a ControlNet for `model`; NULL or "": with random weights one of that kind, else none */
    const char* only;          /* part of a profile's name; NULL or "": all of them */
    uint32_t repeats;          /* warm runs of a profile, 2...100; 0: 5, in the small profiles 3 */
    const char* work_folder;   /* an existing folder for files that are gone at the end: weights (up to 7 GB), pipelines */
    int32_t validation;        /* as pumice_engine_options */
    void (*log)(void* user, pumice_log_level level, const char* line);
    /* Called on the thread of the call with what is done next ("sd15-512-b1: warm run 2 of 5"). NULL: none. */
    void (*on_progress)(void* user, const char* what);
    void* user;
    const pumice_cancel* cancel;   /* NULL: none */
    const pumice_plugins* plugins; /* NULL: those that come with Pumice */
} pumice_bench_options;
#define PUMICE_BENCH_OPTIONS_INIT                                                                              \
    {                                                                                                          \
        sizeof(pumice_bench_options), NULL, PUMICE_PRECISION_AUTO, 0, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, \
            NULL, NULL, NULL                                                                                   \
    }

/* Measures a device: its peaks, then fixed profiles, and whether what came out is right. *json is an object with "peaks" (as
 * pumice_engine_peaks), "device" (the record), "precision", "host" and "results", as tools/bench/schema.json describes
 * them; it goes with pumice_string_destroy. A wrong result is no error but "valid": false there. Errors of
 * pumice_engine_create, pumice_model_load and pumice_generate; PUMICE_NOT_FOUND when no profile is of that name. */
PUMICE_API pumice_status pumice_bench(const pumice_bench_options* options, char** json, pumice_error* error);

#ifdef __cplusplus
}
#endif

#endif
