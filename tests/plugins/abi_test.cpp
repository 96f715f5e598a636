// What is released never moves: sizes of structs and offsets of their fields, on machines with 8-byte pointers.
#include <cstddef>

#include "catch.hpp"
#include "pumice/sdk.hpp"

static_assert(sizeof(void*) == 8);

#define AT(type, field, offset) static_assert(offsetof(type, field) == (offset))
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes) && alignof(type) <= 8)

SIZE(pumice_sdk_status, 4);
SIZE(pumice_tensor, 4);
SIZE(pumice_picture, 4);
SIZE(pumice_weight_file, 4);
SIZE(pumice_weight, 4);
SIZE(pumice_graph, 4);
SIZE(pumice_node, 4);
SIZE(pumice_program, 4);
SIZE(pumice_kernel, 4);

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
SIZE(pumice_sampler_call, 56);
AT(pumice_sampler_call, sigma_count, 4);
AT(pumice_sampler_call, sigmas, 8);
AT(pumice_sampler_call, params, 16);
AT(pumice_sampler_call, x, 24);
AT(pumice_sampler_call, data, 32);
AT(pumice_sampler_call, denoise, 40);
AT(pumice_sampler_call, denoise_uncond, 48);
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

SIZE(pumice_guidance_descriptor, 48);
AT(pumice_guidance_descriptor, flags, 4);
AT(pumice_guidance_descriptor, name, 8);
AT(pumice_guidance_descriptor, label, 16);
AT(pumice_guidance_descriptor, help, 24);
AT(pumice_guidance_descriptor, param_count, 32);
AT(pumice_guidance_descriptor, params, 40);
SIZE(pumice_guidance_call, 48);
AT(pumice_guidance_call, x, 4);
AT(pumice_guidance_call, cond, 8);
AT(pumice_guidance_call, uncond, 12);
AT(pumice_guidance_call, perturbed, 16);
AT(pumice_guidance_call, denoised, 20);
AT(pumice_guidance_call, sigma, 24);
AT(pumice_guidance_call, guidance_scale, 32);
AT(pumice_guidance_call, params, 40);
SIZE(pumice_guidance_1, 32);
AT(pumice_guidance_1, count, 4);
AT(pumice_guidance_1, describe, 8);
AT(pumice_guidance_1, run, 16);
AT(pumice_guidance_1, perturbed_blocks, 24);

SIZE(pumice_control_descriptor, 48);
AT(pumice_control_descriptor, flags, 4);
AT(pumice_control_descriptor, name, 8);
AT(pumice_control_descriptor, label, 16);
AT(pumice_control_descriptor, help, 24);
AT(pumice_control_descriptor, param_count, 32);
AT(pumice_control_descriptor, params, 40);
SIZE(pumice_control_model, 56);
AT(pumice_control_model, heads, 4);
AT(pumice_control_model, path, 8);
AT(pumice_control_model, family, 16);
AT(pumice_control_model, head_channels, 24);
AT(pumice_control_model, latent_channels, 28);
AT(pumice_control_model, model_channels, 32);
AT(pumice_control_model, context_channels, 36);
AT(pumice_control_model, vector_channels, 40);
AT(pumice_control_model, params, 48);
SIZE(pumice_control_prepare, 32);
AT(pumice_control_prepare, graph, 4);
AT(pumice_control_prepare, picture, 8);
AT(pumice_control_prepare, data, 16);
AT(pumice_control_prepare, keep, 24);
SIZE(pumice_control_step, 56);
AT(pumice_control_step, graph, 4);
AT(pumice_control_step, x, 8);
AT(pumice_control_step, timesteps, 12);
AT(pumice_control_step, context, 16);
AT(pumice_control_step, vector, 20);
AT(pumice_control_step, kept, 24);
AT(pumice_control_step, kept_count, 32);
AT(pumice_control_step, data, 40);
AT(pumice_control_step, add, 48);
SIZE(pumice_control_1, 40);
AT(pumice_control_1, count, 4);
AT(pumice_control_1, describe, 8);
AT(pumice_control_1, open, 16);
AT(pumice_control_1, prepare, 24);
AT(pumice_control_1, step, 32);

SIZE(pumice_tensor_term, 16);
AT(pumice_tensor_term, tensor, 8);
SIZE(pumice_tensor_norms, 24);
AT(pumice_tensor_norms, squares, 8);
AT(pumice_tensor_norms, largest, 16);
SIZE(pumice_tensor_affine, 32);
AT(pumice_tensor_affine, offset, 8);
AT(pumice_tensor_affine, low, 16);
AT(pumice_tensor_affine, high, 24);
SIZE(pumice_tensor_spread, 32);
AT(pumice_tensor_spread, deviation, 8);
AT(pumice_tensor_spread, largest, 16);
AT(pumice_tensor_spread, quantile, 24);
SIZE(pumice_host_tensor_1, 96);
AT(pumice_host_tensor_1, shape, 8);
AT(pumice_host_tensor_1, create, 16);
AT(pumice_host_tensor_1, release, 24);
AT(pumice_host_tensor_1, combine, 32);
AT(pumice_host_tensor_1, noise, 40);
AT(pumice_host_tensor_1, brownian, 48);
AT(pumice_host_tensor_1, norms, 56);
AT(pumice_host_tensor_1, read, 64);
AT(pumice_host_tensor_1, write, 72);
AT(pumice_host_tensor_1, affine, 80);
AT(pumice_host_tensor_1, spreads, 88);

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

SIZE(pumice_picture_info, 32);
AT(pumice_picture_info, format, 4);
AT(pumice_picture_info, width, 8);
AT(pumice_picture_info, height, 12);
AT(pumice_picture_info, row_bytes, 16);
AT(pumice_picture_info, pixels, 24);

SIZE(pumice_host_image_1, 32);
AT(pumice_host_image_1, reserved, 4);
AT(pumice_host_image_1, create, 8);
AT(pumice_host_image_1, info, 16);
AT(pumice_host_image_1, release, 24);

SIZE(pumice_weight_info, 40);
AT(pumice_weight_info, rank, 4);
AT(pumice_weight_info, name, 8);
AT(pumice_weight_info, dtype, 16);
AT(pumice_weight_info, shape, 24);
AT(pumice_weight_info, bytes, 32);

SIZE(pumice_host_weights_1, 80);
AT(pumice_host_weights_1, reserved, 4);
AT(pumice_host_weights_1, open, 8);
AT(pumice_host_weights_1, close, 16);
AT(pumice_host_weights_1, count, 24);
AT(pumice_host_weights_1, info, 32);
AT(pumice_host_weights_1, find, 40);
AT(pumice_host_weights_1, metadata, 48);
AT(pumice_host_weights_1, load, 56);
AT(pumice_host_weights_1, read, 64);
AT(pumice_host_weights_1, release, 72);

SIZE(pumice_shape, 16);
AT(pumice_shape, n, 0);
AT(pumice_shape, h, 4);
AT(pumice_shape, w, 8);
AT(pumice_shape, c, 12);

SIZE(pumice_linear_options, 28);
AT(pumice_linear_options, weight, 4);
AT(pumice_linear_options, bias, 8);
AT(pumice_linear_options, residual, 12);
AT(pumice_linear_options, activation, 16);
AT(pumice_linear_options, slope, 20);
AT(pumice_linear_options, float32, 24);

SIZE(pumice_conv2d_options, 52);
AT(pumice_conv2d_options, weight, 4);
AT(pumice_conv2d_options, bias, 8);
AT(pumice_conv2d_options, residual, 12);
AT(pumice_conv2d_options, channel_add, 16);
AT(pumice_conv2d_options, stride, 20);
AT(pumice_conv2d_options, pad_top, 24);
AT(pumice_conv2d_options, pad_left, 28);
AT(pumice_conv2d_options, pad_bottom, 32);
AT(pumice_conv2d_options, pad_right, 36);
AT(pumice_conv2d_options, activation, 40);
AT(pumice_conv2d_options, slope, 44);
AT(pumice_conv2d_options, float32, 48);

SIZE(pumice_graph_term, 8);
AT(pumice_graph_term, x, 0);
AT(pumice_graph_term, weight, 4);

SIZE(pumice_resample_options, 52);
AT(pumice_resample_options, method, 4);
AT(pumice_resample_options, rows, 8);
AT(pumice_resample_options, columns, 12);
AT(pumice_resample_options, window, 16);
AT(pumice_resample_options, in_rows, 20);
AT(pumice_resample_options, in_columns, 24);
AT(pumice_resample_options, in_y, 28);
AT(pumice_resample_options, in_x, 32);
AT(pumice_resample_options, out_rows, 36);
AT(pumice_resample_options, out_columns, 40);
AT(pumice_resample_options, out_y, 44);
AT(pumice_resample_options, out_x, 48);

SIZE(pumice_graph_info, 32);
AT(pumice_graph_info, precision, 4);
AT(pumice_graph_info, binding_bytes, 8);
AT(pumice_graph_info, memory_bytes, 16);
AT(pumice_graph_info, storage_16bit, 24);
AT(pumice_graph_info, reserved, 28);

SIZE(pumice_program_options, 32);
AT(pumice_program_options, reserved, 4);
AT(pumice_program_options, name, 8);
AT(pumice_program_options, build, 16);
AT(pumice_program_options, data, 24);

SIZE(pumice_host_graph_1, 232);
AT(pumice_host_graph_1, reserved, 4);
AT(pumice_host_graph_1, info, 8);
AT(pumice_host_graph_1, create, 16);
AT(pumice_host_graph_1, release, 24);
AT(pumice_host_graph_1, run, 32);
AT(pumice_host_graph_1, write, 40);
AT(pumice_host_graph_1, read, 48);
AT(pumice_host_graph_1, write_picture, 56);
AT(pumice_host_graph_1, read_picture, 64);
AT(pumice_host_graph_1, check, 72);
AT(pumice_host_graph_1, set_scope, 80);
AT(pumice_host_graph_1, shape, 88);
AT(pumice_host_graph_1, input, 96);
AT(pumice_host_graph_1, output, 104);
AT(pumice_host_graph_1, linear, 112);
AT(pumice_host_graph_1, conv2d, 120);
AT(pumice_host_graph_1, matmul, 128);
AT(pumice_host_graph_1, softmax, 136);
AT(pumice_host_graph_1, group_norm, 144);
AT(pumice_host_graph_1, layer_norm, 152);
AT(pumice_host_graph_1, attention, 160);
AT(pumice_host_graph_1, activation, 168);
AT(pumice_host_graph_1, prelu, 176);
AT(pumice_host_graph_1, combine, 184);
AT(pumice_host_graph_1, concat, 192);
AT(pumice_host_graph_1, resample, 200);
AT(pumice_host_graph_1, pixel_shuffle, 208);
AT(pumice_host_graph_1, pixel_unshuffle, 216);
AT(pumice_host_graph_1, timestep_embedding, 224);

SIZE(pumice_kernel_code, 24);
AT(pumice_kernel_code, glsl, 0);
AT(pumice_kernel_code, spirv, 8);
AT(pumice_kernel_code, spirv_words, 16);

SIZE(pumice_kernel_options, 80);
AT(pumice_kernel_options, flags, 4);
AT(pumice_kernel_options, name, 8);
AT(pumice_kernel_options, f32, 16);
AT(pumice_kernel_options, f16, 40);
AT(pumice_kernel_options, reads, 64);
AT(pumice_kernel_options, writes, 68);
AT(pumice_kernel_options, push_bytes, 72);
AT(pumice_kernel_options, reserved, 76);

SIZE(pumice_kernel_use, 64);
AT(pumice_kernel_use, reserved, 4);
AT(pumice_kernel_use, reads, 8);
AT(pumice_kernel_use, writes, 16);
AT(pumice_kernel_use, push, 24);
AT(pumice_kernel_use, constants, 32);
AT(pumice_kernel_use, constant_count, 40);
AT(pumice_kernel_use, groups, 44);
AT(pumice_kernel_use, flops, 56);

SIZE(pumice_host_kernel_1, 24);
AT(pumice_host_kernel_1, reserved, 4);
AT(pumice_host_kernel_1, create, 8);
AT(pumice_host_kernel_1, append, 16);

SIZE(pumice_upscaler_descriptor, 56);
AT(pumice_upscaler_descriptor, flags, 4);
AT(pumice_upscaler_descriptor, name, 8);
AT(pumice_upscaler_descriptor, label, 16);
AT(pumice_upscaler_descriptor, help, 24);
AT(pumice_upscaler_descriptor, scale, 32);
AT(pumice_upscaler_descriptor, param_count, 40);
AT(pumice_upscaler_descriptor, reserved, 44);
AT(pumice_upscaler_descriptor, params, 48);

SIZE(pumice_upscaler_call, 32);
AT(pumice_upscaler_call, reserved, 4);
AT(pumice_upscaler_call, in, 8);
AT(pumice_upscaler_call, out, 12);
AT(pumice_upscaler_call, model, 16);
AT(pumice_upscaler_call, params, 24);

SIZE(pumice_upscaler_1, 32);
AT(pumice_upscaler_1, count, 4);
AT(pumice_upscaler_1, describe, 8);
AT(pumice_upscaler_1, inspect, 16);
AT(pumice_upscaler_1, run, 24);

SIZE(pumice_preprocessor_descriptor, 48);
AT(pumice_preprocessor_descriptor, flags, 4);
AT(pumice_preprocessor_descriptor, name, 8);
AT(pumice_preprocessor_descriptor, label, 16);
AT(pumice_preprocessor_descriptor, help, 24);
AT(pumice_preprocessor_descriptor, param_count, 32);
AT(pumice_preprocessor_descriptor, reserved, 36);
AT(pumice_preprocessor_descriptor, params, 40);

SIZE(pumice_preprocessor_call, 32);
AT(pumice_preprocessor_call, reserved, 4);
AT(pumice_preprocessor_call, in, 8);
AT(pumice_preprocessor_call, out, 12);
AT(pumice_preprocessor_call, seed, 16);
AT(pumice_preprocessor_call, params, 24);

SIZE(pumice_preprocessor_1, 24);
AT(pumice_preprocessor_1, count, 4);
AT(pumice_preprocessor_1, describe, 8);
AT(pumice_preprocessor_1, run, 16);

SIZE(pumice_image_filter_descriptor, 48);
AT(pumice_image_filter_descriptor, flags, 4);
AT(pumice_image_filter_descriptor, name, 8);
AT(pumice_image_filter_descriptor, label, 16);
AT(pumice_image_filter_descriptor, help, 24);
AT(pumice_image_filter_descriptor, param_count, 32);
AT(pumice_image_filter_descriptor, reserved, 36);
AT(pumice_image_filter_descriptor, params, 40);

SIZE(pumice_image_filter_call, 32);
AT(pumice_image_filter_call, index, 4);
AT(pumice_image_filter_call, in, 8);
AT(pumice_image_filter_call, out, 12);
AT(pumice_image_filter_call, seed, 16);
AT(pumice_image_filter_call, params, 24);

SIZE(pumice_image_filter_1, 24);
AT(pumice_image_filter_1, count, 4);
AT(pumice_image_filter_1, describe, 8);
AT(pumice_image_filter_1, run, 16);

TEST_CASE("the interface's version and ids are those of its documentation") {
    CHECK(PUMICE_SDK_ABI_MAJOR == 1);
    for (const char* id : {PUMICE_PLUGIN_FACTORY_1, PUMICE_SAMPLER_1, PUMICE_SCHEDULE_1, PUMICE_GUIDANCE_1, PUMICE_CONTROL_1, PUMICE_HOST_TENSOR_1,
                           PUMICE_HOST_PROGRESS_1, PUMICE_HOST_LOG_1, PUMICE_HOST_MATH_1, PUMICE_UPSCALER_1,
                           PUMICE_PREPROCESSOR_1, PUMICE_IMAGE_FILTER_1, PUMICE_HOST_GRAPH_1, PUMICE_HOST_KERNEL_1,
                           PUMICE_HOST_WEIGHTS_1, PUMICE_HOST_IMAGE_1}) {
        const std::string text = id;
        CHECK(text.rfind("pumice.", 0) == 0);
        CHECK(text.substr(text.size() - 2) == "/1");
    }
}
