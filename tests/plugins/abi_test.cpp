// What is released never moves: sizes of structs and offsets of their fields, on machines with 8-byte pointers.
#include <cstddef>

#include "catch.hpp"
#include "pumice/sdk.hpp"

static_assert(sizeof(void*) == 8);

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset))
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes) && alignof(type) <= 8)

SIZE(pumice_sdk_status, 4);
SIZE(pumice_tensor, 4);

SIZE(pumice_plugin_entry_1, 40);
AT(pumice_plugin_entry_1, abi_major, 4);
AT(pumice_plugin_entry_1, abi_minor, 8);
AT(pumice_plugin_entry_1, init, 16);
AT(pumice_plugin_entry_1, deinit, 24);
AT(pumice_plugin_entry_1, get_factory, 32);

SIZE(pumice_host, 56);
AT(pumice_host, abi_major, 4);
AT(pumice_host, name, 16);
AT(pumice_host, version, 24);
AT(pumice_host, data, 32);
AT(pumice_host, get_extension, 40);
AT(pumice_host, set_error, 48);

SIZE(pumice_plugin_descriptor, 56);
AT(pumice_plugin_descriptor, id, 8);
AT(pumice_plugin_descriptor, name, 16);
AT(pumice_plugin_descriptor, version, 24);
AT(pumice_plugin_descriptor, vendor, 32);
AT(pumice_plugin_descriptor, licence, 40);
AT(pumice_plugin_descriptor, description, 48);

SIZE(pumice_plugin, 48);
AT(pumice_plugin, descriptor, 8);
AT(pumice_plugin, data, 16);
AT(pumice_plugin, init, 24);
AT(pumice_plugin, destroy, 32);
AT(pumice_plugin, get_extension, 40);

SIZE(pumice_plugin_factory_1, 32);
AT(pumice_plugin_factory_1, count, 8);
AT(pumice_plugin_factory_1, descriptor, 16);
AT(pumice_plugin_factory_1, create, 24);

SIZE(pumice_param, 80);
AT(pumice_param, type, 4);
AT(pumice_param, id, 8);
AT(pumice_param, help, 16);
AT(pumice_param, unit, 24);
AT(pumice_param, least, 32);
AT(pumice_param, most, 40);
AT(pumice_param, step, 48);
AT(pumice_param, default_number, 56);
AT(pumice_param, default_text, 64);
AT(pumice_param, choices, 72);
SIZE(pumice_param_value, 16);
AT(pumice_param_value, text, 8);

SIZE(pumice_sampler_descriptor, 56);
AT(pumice_sampler_descriptor, flags, 4);
AT(pumice_sampler_descriptor, name, 8);
AT(pumice_sampler_descriptor, label, 16);
AT(pumice_sampler_descriptor, help, 24);
AT(pumice_sampler_descriptor, schedule, 32);
AT(pumice_sampler_descriptor, calls_per_step, 40);
AT(pumice_sampler_descriptor, param_count, 44);
AT(pumice_sampler_descriptor, params, 48);
SIZE(pumice_sampler_call, 48);
AT(pumice_sampler_call, sigma_count, 4);
AT(pumice_sampler_call, sigmas, 8);
AT(pumice_sampler_call, params, 16);
AT(pumice_sampler_call, x, 24);
AT(pumice_sampler_call, data, 32);
AT(pumice_sampler_call, denoise, 40);
SIZE(pumice_sampler_1, 24);
AT(pumice_sampler_1, count, 4);
AT(pumice_sampler_1, describe, 8);
AT(pumice_sampler_1, run, 16);

SIZE(pumice_schedule_descriptor, 48);
AT(pumice_schedule_descriptor, flags, 4);
AT(pumice_schedule_descriptor, name, 8);
AT(pumice_schedule_descriptor, param_count, 32);
AT(pumice_schedule_descriptor, params, 40);
SIZE(pumice_schedule_call, 56);
AT(pumice_schedule_call, steps, 4);
AT(pumice_schedule_call, table_size, 8);
AT(pumice_schedule_call, capacity, 12);
AT(pumice_schedule_call, table, 16);
AT(pumice_schedule_call, family, 24);
AT(pumice_schedule_call, params, 32);
AT(pumice_schedule_call, out, 40);
AT(pumice_schedule_call, count, 48);
SIZE(pumice_schedule_1, 24);
AT(pumice_schedule_1, describe, 8);
AT(pumice_schedule_1, run, 16);

SIZE(pumice_tensor_term, 16);
AT(pumice_tensor_term, tensor, 8);
SIZE(pumice_tensor_norms, 24);
AT(pumice_tensor_norms, squares, 8);
AT(pumice_tensor_norms, largest, 16);
SIZE(pumice_host_tensor_1, 80);
AT(pumice_host_tensor_1, shape, 8);
AT(pumice_host_tensor_1, create, 16);
AT(pumice_host_tensor_1, release, 24);
AT(pumice_host_tensor_1, combine, 32);
AT(pumice_host_tensor_1, noise, 40);
AT(pumice_host_tensor_1, brownian, 48);
AT(pumice_host_tensor_1, norms, 56);
AT(pumice_host_tensor_1, read, 64);
AT(pumice_host_tensor_1, write, 72);

SIZE(pumice_host_log_1, 16);
AT(pumice_host_log_1, log, 8);
SIZE(pumice_host_progress_1, 24);
AT(pumice_host_progress_1, step, 8);
AT(pumice_host_progress_1, check, 16);
SIZE(pumice_host_math_1, 64);
AT(pumice_host_math_1, exp, 8);
AT(pumice_host_math_1, expm1, 16);
AT(pumice_host_math_1, log, 24);
AT(pumice_host_math_1, pow, 32);
AT(pumice_host_math_1, sin, 40);
AT(pumice_host_math_1, cos, 48);
AT(pumice_host_math_1, acos, 56);

TEST_CASE("the interface's version and ids are those of its documentation") {
    CHECK(PUMICE_SDK_ABI_MAJOR == 1);
    for (const char* id : {PUMICE_PLUGIN_FACTORY_1, PUMICE_SAMPLER_1, PUMICE_SCHEDULE_1, PUMICE_HOST_TENSOR_1,
                           PUMICE_HOST_PROGRESS_1, PUMICE_HOST_LOG_1, PUMICE_HOST_MATH_1}) {
        const std::string text = id;
        CHECK(text.rfind("pumice.", 0) == 0);
        CHECK(text.substr(text.size() - 2) == "/1");
    }
}
