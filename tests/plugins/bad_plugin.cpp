// One small plugin with a fault: which one, PLUGIN_FAULT says. Built once a fault (CMakeLists.txt); the fault "none" is
// a sound plugin with one Euler sampler and one schedule.
#include <dlfcn.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "pumice/sdk/entry.h"
#include "pumice/sdk/ext/progress.h"
#include "pumice/sdk/ext/sampler.h"
#include "pumice/sdk/ext/schedule.h"
#include "pumice/sdk/plugin.h"

namespace {

bool fault(const char* name) {
    return std::strcmp(PLUGIN_FAULT, name) == 0;
}

[[gnu::noinline]] void crash() {
    std::raise(SIGSEGV);
}

const pumice_param kAmount = {sizeof(pumice_param), PUMICE_PARAM_FLOAT, "amount", "does nothing", nullptr, 0, 1, 0,
                              0.5, nullptr, nullptr};
const char* const kChoices[] = {"one", "two", nullptr};
const pumice_param kChoice = {sizeof(pumice_param), PUMICE_PARAM_ENUM, "choice", "does nothing", nullptr, 0, 0, 0,
                              1, nullptr, kChoices};
const pumice_param kCount = {sizeof(pumice_param), PUMICE_PARAM_INT, "count", "does nothing", nullptr, 0, 9, 1,
                             3, nullptr, nullptr};
const pumice_param kFlag = {sizeof(pumice_param), PUMICE_PARAM_BOOL, "flag", "does nothing", nullptr, 0, 0, 0,
                            0, nullptr, nullptr};
const pumice_param* const kParams[] = {&kAmount, &kChoice, &kCount, &kFlag};

// The id's last digits are replaced in copies of the file, to have many plugins from one.
const char kId[] = "test." PLUGIN_FAULT "-00";
const char kName[] = "test_" PLUGIN_FAULT;

const pumice_sampler_descriptor kSampler = {sizeof(pumice_sampler_descriptor), 0, kName, "Test", "a test", nullptr, 1,
                                            4, kParams};
const pumice_schedule_descriptor kSchedule = {sizeof(pumice_schedule_descriptor), 0, kName, "Test", "a test", 0, 0,
                                              nullptr};
const pumice_plugin_descriptor kDescriptor = {sizeof(pumice_plugin_descriptor),
                                              0,
#ifdef PLUGIN_BAD_ID
                                              "no id at all",
#else
                                              kId,
#endif
                                              "Test", "1.0", "", "MIT", "a test"};

const pumice_host* host_of(pumice_plugin* plugin) {
    return static_cast<const pumice_host*>(plugin->data);
}

/// Lets go of its own library as often as it can.
void unload_self() {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&kId), &info) == 0) return;
    void* handle = ::dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    for (int i = 0; handle && i < 64; ++i)
        if (::dlclose(handle) != 0) break;
}

pumice_sdk_status run_sampler(pumice_plugin* plugin, uint32_t, const pumice_sampler_call* call) {
    const pumice_host* host = host_of(plugin);
    const auto* tensor = static_cast<const pumice_host_tensor_1*>(host->get_extension(host, PUMICE_HOST_TENSOR_1));
    const auto* progress = static_cast<const pumice_host_progress_1*>(host->get_extension(host, PUMICE_HOST_PROGRESS_1));
    if (!tensor || !progress) return PUMICE_SDK_MISSING_FEATURE;
    static int runs = 0;
    ++runs;
    pumice_tensor denoised = 0;
    pumice_sdk_status status = tensor->create(host, &denoised);
    for (uint32_t i = 0; i + 1 < call->sigma_count && status == PUMICE_SDK_OK; ++i) {
        if (i == 1 && fault("crash_in_step")) crash();
        if (i == 1 && fault("abort_in_step")) std::abort();
        if (i == 1 && fault("unload_self")) unload_self();
        if (i == 1 && fault("throw_in_step")) throw std::runtime_error("no more");
        if (i == 1 && fault("hang_in_step")) {
            // Not through the host's log: while that runs it is the host's code, and a signal then blames nobody.
            std::fputs("it hangs now\n", stderr);
            for (;;) ::sleep(1);
        }
        if (i == 1 && fault("fail_in_step")) {
            host->set_error(host, "the second step\nis too much");
            return PUMICE_SDK_UNSUPPORTED;
        }
        const double sigma = static_cast<double>(call->sigmas[i]);
        double ratio = static_cast<double>(call->sigmas[i + 1]) / sigma;
        if (fault("overshoot")) ratio -= 0.2;
        if (fault("remember")) ratio += 1e-6 * runs;
        status = fault("uncond_unasked") ? call->denoise_uncond(call, call->x, sigma, 0.5, denoised, 78)
                                         : call->denoise(call, call->x, sigma, denoised);
        const pumice_tensor_term terms[] = {{ratio, call->x, 0},
                                            {1 - ratio, fault("wrong_handle") ? 77u : denoised, 0}};
        if (status == PUMICE_SDK_OK) status = tensor->combine(host, call->x, terms, 2);
        if (status == PUMICE_SDK_OK && !fault("no_progress")) status = progress->step(host, i + 1, call->sigma_count - 1);
        if (fault("swallow")) status = PUMICE_SDK_OK;
    }
    if (!fault("leak")) tensor->release(host, denoised);
    return status;
}

pumice_sdk_status run_schedule(pumice_plugin*, uint32_t, const pumice_schedule_call* call) {
    for (uint32_t i = 0; i < call->steps; ++i) call->out[i] = static_cast<float>(call->steps - i);
    call->out[call->steps] = 0;
    *call->count = call->steps + 1;
    if (fault("write_past"))
        for (uint32_t i = 0; i < 8; ++i) call->out[call->capacity + i] = 1;
    if (fault("rise")) call->out[1] = 1000;
    return PUMICE_SDK_OK;
}

const void* get_extension(pumice_plugin*, const char* id) {
    static const pumice_sampler_1 sampler = {
        sizeof(pumice_sampler_1), 1,
        [](pumice_plugin*, uint32_t index) { return index == 0 ? &kSampler : nullptr; },
        fault("null_run") ? nullptr : run_sampler};
    static const pumice_schedule_1 schedule = {
        sizeof(pumice_schedule_1), 1,
        [](pumice_plugin*, uint32_t index) { return index == 0 ? &kSchedule : nullptr; }, run_schedule};
    if (std::strcmp(id, PUMICE_SAMPLER_1) == 0) return &sampler;
    return std::strcmp(id, PUMICE_SCHEDULE_1) == 0 ? &schedule : nullptr;
}

pumice_sdk_status create(uint32_t index, const pumice_host* host, pumice_plugin** made) {
    if (index != 0) return PUMICE_SDK_INVALID_ARGUMENT;
    if (fault("leak_memory")) {
        static void* volatile kept;
        kept = std::malloc(100);
        std::memset(kept, 1, 100);
    }
    auto* plugin = static_cast<pumice_plugin*>(std::malloc(sizeof(pumice_plugin)));
    if (!plugin) return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    *plugin = {sizeof(pumice_plugin), 0, &kDescriptor, const_cast<pumice_host*>(host),
               [](pumice_plugin*) { return PUMICE_SDK_OK; }, [](pumice_plugin* p) { std::free(p); }, get_extension};
    *made = plugin;
    return PUMICE_SDK_OK;
}

pumice_sdk_status init(const char*) {
    if (fault("crash_in_init")) crash();
    if (fault("throw_in_init")) throw std::runtime_error("not today");
    if (fault("print")) std::puts("hello");
    if (fault("handle_signals")) std::signal(SIGUSR2, SIG_IGN);
    if (fault("exit_in_init")) std::exit(0);
    if (fault("hang_in_init"))
        for (;;) ::sleep(1);
    return fault("fail_in_init") ? PUMICE_SDK_UNSUPPORTED : PUMICE_SDK_OK;
}

void deinit() {
    if (fault("crash_in_deinit")) crash();
}

const void* get_factory(const char* id) {
    static const pumice_plugin_factory_1 factory = {sizeof(pumice_plugin_factory_1), 0, [] { return 1u; },
                                                    [](uint32_t index) { return index == 0 ? &kDescriptor : nullptr; }, create};
    if (fault("no_factory")) return nullptr;
    return std::strcmp(id, PUMICE_PLUGIN_FACTORY_1) == 0 ? &factory : nullptr;
}

}  // namespace

extern "C" {
#if defined(PLUGIN_NO_ENTRY)
PUMICE_SDK_EXPORT extern const int something_else = 1;
#elif defined(PLUGIN_NULL_ENTRY)
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1), PUMICE_SDK_ABI_MAJOR, PUMICE_SDK_ABI_MINOR, 0, nullptr, nullptr, nullptr};
#elif defined(PLUGIN_OTHER_ABI)
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1), 99, 7, 0, init, deinit, get_factory};
#else
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = {
    sizeof(pumice_plugin_entry_1), PUMICE_SDK_ABI_MAJOR, PUMICE_SDK_ABI_MINOR, 0, init, deinit, get_factory};
#endif

#ifdef PLUGIN_CLASH
// A symbol of the host's and one of the C library's.
PUMICE_SDK_EXPORT int pumice_plugins_create(void) {
    std::abort();
}
PUMICE_SDK_EXPORT int rand(void) noexcept {
    std::abort();
}
#endif
}
