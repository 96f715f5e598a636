#include "plugins/package_new.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "config/suggest.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"
#include "plugins/install.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 1> kKinds = {"sampler"};

// In all of them @NAME@, @PLATFORM@ and @SDK@ are replaced.
constexpr std::string_view kCMake = R"(# @NAME@, a plugin for Pumice.
#
#   cmake -B build && cmake --build build       # CMAKE_PREFIX_PATH: where Pumice is installed, if not /usr or /usr/local
#   pumice plugins install build/package --allow-unsigned
#   pumice plugins pack build/package -o @NAME@.pumice --key FILE
cmake_minimum_required(VERSION 3.16)
project(@NAME@ LANGUAGES C)

find_package(PumiceSDK @SDK@ REQUIRED)

# build/package is what becomes the package: plugin.toml and what it names.
set(package ${CMAKE_BINARY_DIR}/package)
configure_file(plugin.toml ${package}/plugin.toml COPYONLY)
configure_file(LICENSE ${package}/LICENSE COPYONLY)

add_library(@NAME@ MODULE @NAME@.c)
target_link_libraries(@NAME@ PRIVATE Pumice::sdk)
set_target_properties(@NAME@ PROPERTIES PREFIX "" SUFFIX ".so" C_STANDARD 11 C_VISIBILITY_PRESET hidden
                                        LIBRARY_OUTPUT_DIRECTORY ${package})
)";

constexpr std::string_view kToml = R"(id = "org.example.@NAME@"
name = "@NAME@"
version = "0.1.0"
vendor = "Unknown"
licence = "MIT"
sdk = @SDK@
extensions = ["pumice.sampler/1"]
files = ["LICENSE"]

# A table for each platform that there is a library for. `pumice plugins pack` adds the hashes.
[libraries.@PLATFORM@]
file = "@NAME@.so"
)";

constexpr std::string_view kLicence = R"(Copyright (c) the authors of @NAME@

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
)";

constexpr std::string_view kSampler =
    R"(/* @NAME@: a sampler for Pumice. As it stands, Euler's method with a factor on each step.
 *
 * Pumice loads this library, takes pumice_plugin_entry from it, makes an instance through its factory, and asks that
 * for its extensions. The headers in pumice/sdk/ say of each function when it is called and what it may do.
 */
#include <stdlib.h>
#include <string.h>

#include "pumice/sdk/entry.h"
#include "pumice/sdk/ext/progress.h"
#include "pumice/sdk/ext/sampler.h"
#include "pumice/sdk/ext/tensor.h"
#include "pumice/sdk/plugin.h"

typedef struct instance {
    pumice_plugin plugin;
    const pumice_host* host;
    const pumice_host_tensor_1* tensor; /* NULL where there is no device: when the plugin is tried out */
    const pumice_host_progress_1* progress;
} instance;

/* ---- the sampler ----------------------------------------------------------------------------------------------- */

/* --plugin-param sampler.step_scale=0.98 */
static const pumice_param step_scale = {
    .struct_size = sizeof(pumice_param),
    .type = PUMICE_PARAM_FLOAT,
    .id = "step_scale",
    .help = "how far to go in each step, to how far Euler's method goes",
    .least = 0.5,
    .most = 1.5,
    .step = 0.01,
    .default_number = 1,
};
static const pumice_param* const params[] = {&step_scale};

static const pumice_sampler_descriptor sampler = {
    .struct_size = sizeof(pumice_sampler_descriptor),
    .name = "@NAME@",
    .label = "@NAME@",
    .help = "Euler's method with a factor on each step",
    .calls_per_step = 1,
    .param_count = 1,
    .params = params,
};

static const pumice_sampler_descriptor* describe(pumice_plugin* plugin, uint32_t index) {
    (void)plugin;
    return index == 0 ? &sampler : NULL;
}

/* x at noise level sigma becomes x at noise level next: x + scale * (next - sigma) * (x - denoised) / sigma. */
static pumice_sdk_status step(const instance* self, const pumice_sampler_call* call, pumice_tensor denoised, double sigma,
                              double next) {
    const pumice_sdk_status status = call->denoise(call, call->x, sigma, denoised);
    if (status != PUMICE_SDK_OK) return status;
    const double share = call->params[0].number * (next - sigma) / sigma;
    const pumice_tensor_term terms[] = {{.weight = 1 + share, .tensor = call->x},
                                        {.weight = -share, .tensor = denoised}};
    return self->tensor->combine(self->host, call->x, terms, 2);
}

static pumice_sdk_status run(pumice_plugin* plugin, uint32_t index, const pumice_sampler_call* call) {
    const instance* self = plugin->data;
    if (index != 0) return PUMICE_SDK_INVALID_ARGUMENT;
    if (!self->tensor || !self->progress) {
        self->host->set_error(self->host, "the host has no pumice.tensor/1 or no pumice.progress/1");
        return PUMICE_SDK_MISSING_FEATURE;
    }
    pumice_tensor denoised = 0;
    pumice_sdk_status status = self->tensor->create(self->host, &denoised);
    const uint32_t steps = call->sigma_count - 1;
    for (uint32_t i = 0; status == PUMICE_SDK_OK && i < steps; ++i) {
        status = step(self, call, denoised, (double)call->sigmas[i], (double)call->sigmas[i + 1]);
        if (status == PUMICE_SDK_OK) status = self->progress->step(self->host, i + 1, steps);
    }
    self->tensor->release(self->host, denoised);
    return status;
}

static const pumice_sampler_1 sampler_extension = {
    .struct_size = sizeof(pumice_sampler_1), .count = 1, .describe = describe, .run = run};

/* ---- the plugin ------------------------------------------------------------------------------------------------ */

static const pumice_plugin_descriptor descriptor = {
    .struct_size = sizeof(pumice_plugin_descriptor),
    .id = "org.example.@NAME@", /* as in plugin.toml */
    .name = "@NAME@",
    .version = "0.1.0",
    .vendor = "Unknown",
    .licence = "MIT",
    .description = "a sampler of one's own",
};

static pumice_sdk_status init(pumice_plugin* plugin) {
    instance* self = plugin->data;
    self->tensor = self->host->get_extension(self->host, PUMICE_HOST_TENSOR_1);
    self->progress = self->host->get_extension(self->host, PUMICE_HOST_PROGRESS_1);
    return PUMICE_SDK_OK;
}

static void destroy(pumice_plugin* plugin) {
    free(plugin->data);
}

static const void* get_extension(pumice_plugin* plugin, const char* id) {
    (void)plugin;
    return strcmp(id, PUMICE_SAMPLER_1) == 0 ? &sampler_extension : NULL;
}

/* ---- what the library exports ---------------------------------------------------------------------------------- */

static uint32_t count(void) {
    return 1;
}

static const pumice_plugin_descriptor* descriptor_of(uint32_t index) {
    return index == 0 ? &descriptor : NULL;
}

static pumice_sdk_status create(uint32_t index, const pumice_host* host, pumice_plugin** plugin) {
    if (index != 0) return PUMICE_SDK_INVALID_ARGUMENT;
    instance* self = calloc(1, sizeof(instance));
    if (!self) return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    self->host = host;
    self->plugin = (pumice_plugin){.struct_size = sizeof(pumice_plugin),
                                   .descriptor = &descriptor,
                                   .data = self,
                                   .init = init,
                                   .destroy = destroy,
                                   .get_extension = get_extension};
    *plugin = &self->plugin;
    return PUMICE_SDK_OK;
}

static const pumice_plugin_factory_1 factory = {.struct_size = sizeof(pumice_plugin_factory_1),
                                                .count = count,
                                                .descriptor = descriptor_of,
                                                .create = create};

static pumice_sdk_status entry_init(const char* path) {
    (void)path;
    return PUMICE_SDK_OK;
}

static void entry_deinit(void) {}

static const void* get_factory(const char* id) {
    return strcmp(id, PUMICE_PLUGIN_FACTORY_1) == 0 ? &factory : NULL;
}

PUMICE_SDK_EXPORT const pumice_plugin_entry_1 pumice_plugin_entry = {
    .struct_size = sizeof(pumice_plugin_entry_1),
    .abi_major = PUMICE_SDK_ABI_MAJOR,
    .abi_minor = PUMICE_SDK_ABI_MINOR,
    .init = entry_init,
    .deinit = entry_deinit,
    .get_factory = get_factory,
};
)";

bool is_name(const std::string& name) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
           std::all_of(name.begin(), name.end(), fits);
}

std::string filled(std::string_view form, const std::string& name) {
    std::string text(form);
    const std::pair<std::string_view, std::string> values[] = {
        {"@NAME@", name}, {"@PLATFORM@", std::string(host_platform())}, {"@SDK@", std::to_string(kSdkRevision)}};
    for (const auto& [key, value] : values)
        for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + value.size()))
            text.replace(at, key.size(), value);
    return text;
}

}  // namespace

std::span<const std::string_view> project_kinds() {
    return kKinds;
}

Packaged<Done> write_project(const fs::path& parent, const std::string& name, const std::string& kind) {
    if (!is_name(name))
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{} is no name for a plugin: a lower-case letter, then "
                                                            "those, digits and '_', at most 32",
                                                            printable(name))};
    if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end())
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("--kind: {} is not one of {}{}", printable(kind),
                                                            fmt::join(kKinds, ", "), did_you_mean(kind, kKinds))};
    const fs::path folder = parent / name;
    if (::mkdir(folder.c_str(), 0777) != 0)
        return Failure{PUMICE_IO, fmt::format("cannot make the folder {}: {}", folder.string(), std::strerror(errno))};
    const std::pair<std::string, std::string_view> files[] = {
        {"CMakeLists.txt", kCMake}, {"plugin.toml", kToml}, {"LICENSE", kLicence}, {name + ".c", kSampler}};
    for (const auto& [file, form] : files) {
        const std::string text = filled(form, name);
        HOST_TRY(write_file(folder / file, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                            Existing::replace));
    }
    return Done{};
}

}  // namespace pumice::host
