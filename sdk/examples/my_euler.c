#include <pumice/sdk/entry.h>
#include <pumice/sdk/ext/progress.h>
#include <pumice/sdk/ext/sampler.h>
#include <stdlib.h>
#include <string.h>

/* Steps go `stride` times as far as Euler's: 1 is Euler. */
static const pumice_param stride = {
    sizeof(pumice_param), PUMICE_PARAM_FLOAT, "stride", "how far a step goes", NULL, 0.5, 1.5, 0.05, 1, NULL, NULL};
static const pumice_param* const params[] = {&stride};
static const pumice_sampler_descriptor sampler = {
    sizeof(pumice_sampler_descriptor), 0, "my_euler", "My Euler", "Euler with a stride", NULL, 1, 1, params};
static const pumice_plugin_descriptor descriptor = {
    sizeof(pumice_plugin_descriptor), 0, "org.example.my-euler", "My Euler", "1.0.0", "me", "MIT", "an example"};

static const pumice_sampler_descriptor* describe(pumice_plugin* plugin, uint32_t index) {
    (void)plugin;
    return index == 0 ? &sampler : NULL;
}

static pumice_sdk_status run(pumice_plugin* plugin, uint32_t index, const pumice_sampler_call* call) {
    const pumice_host* host = plugin->data;
    const pumice_host_tensor_1* tensor = host->get_extension(host, PUMICE_HOST_TENSOR_1);
    const pumice_host_progress_1* progress = host->get_extension(host, PUMICE_HOST_PROGRESS_1);
    (void)index;
    if (!tensor || !progress) return PUMICE_SDK_MISSING_FEATURE;

    pumice_tensor denoised = 0;
    pumice_sdk_status status = tensor->create(host, &denoised);
    for (uint32_t i = 0; i + 1 < call->sigma_count && status == PUMICE_SDK_OK; ++i) {
        const double sigma = call->sigmas[i], next = call->sigmas[i + 1];
        const double ratio = next > 0 ? 1 + call->params[0].number * (next / sigma - 1) : 0;
        const pumice_tensor_term terms[] = {{ratio, call->x, 0}, {1 - ratio, denoised, 0}};
        status = call->denoise(call, call->x, sigma, denoised);
        if (status == PUMICE_SDK_OK) status = tensor->combine(host, call->x, terms, 2);
        if (status == PUMICE_SDK_OK) status = progress->step(host, i + 1, call->sigma_count - 1);
    }
    tensor->release(host, denoised);
    return status;
}

static const void* get_extension(pumice_plugin* plugin, const char* id) {
    static const pumice_sampler_1 samplers = {sizeof(pumice_sampler_1), 1, describe, run};
    (void)plugin;
    return strcmp(id, PUMICE_SAMPLER_1) == 0 ? &samplers : NULL;
}

static pumice_sdk_status init(pumice_plugin* plugin) { return (void)plugin, PUMICE_SDK_OK; }
static void destroy(pumice_plugin* plugin) { free(plugin); }

static pumice_sdk_status create(uint32_t index, const pumice_host* host, pumice_plugin** made) {
    pumice_plugin* plugin = index == 0 ? calloc(1, sizeof *plugin) : NULL;
    if (!plugin) return index == 0 ? PUMICE_SDK_OUT_OF_HOST_MEMORY : PUMICE_SDK_INVALID_ARGUMENT;
    plugin->struct_size = sizeof *plugin;
    plugin->descriptor = &descriptor;
    plugin->data = (void*)host;
    plugin->init = init;
    plugin->destroy = destroy;
    plugin->get_extension = get_extension;
    *made = plugin;
    return PUMICE_SDK_OK;
}

static uint32_t count(void) { return 1; }
static const pumice_plugin_descriptor* describe_plugin(uint32_t index) { return index == 0 ? &descriptor : NULL; }
static const void* get_factory(const char* id) {
    static const pumice_plugin_factory_1 factory = {sizeof(pumice_plugin_factory_1), 0, count, describe_plugin, create};
    return strcmp(id, PUMICE_PLUGIN_FACTORY_1) == 0 ? &factory : NULL;
}

static pumice_sdk_status init_library(const char* path) { return (void)path, PUMICE_SDK_OK; }
static void deinit_library(void) {}

PUMICE_SDK_EXPORT const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1), PUMICE_SDK_ABI_MAJOR, PUMICE_SDK_ABI_MINOR, 0, init_library, deinit_library, get_factory};
