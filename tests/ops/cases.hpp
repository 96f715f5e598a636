// The shapes at which operators are tested and timed: layers of SD 1.5 at 512 x 512 with guidance (batch 2), and ragged
// ones. `rows` is what a benchmark runs, `test_rows` what a test can afford.
#pragma once

#include <cstdint>

#include "ops/ops.hpp"

namespace pumice::test {

struct LinearCase {
    const char* name;
    std::uint32_t rows, test_rows;
    std::uint32_t k, n;
    bool bias = true, residual = false, geglu = false;
    ops::Activation activation = ops::Activation::none;
};

inline constexpr LinearCase linear_cases[] = {
    {"input_blocks.1.1 to_q", 8192, 40, 320, 320, false},
    {"input_blocks.1.1 to_out", 8192, 40, 320, 320, true, true},
    {"input_blocks.1.1 geglu", 8192, 24, 320, 2560, true, false, true},
    {"input_blocks.4.1 feed forward out", 2048, 19, 2560, 640, true, true},
    {"input_blocks.4.1 proj_in", 2048, 33, 640, 640},
    {"middle_block.1 to_q", 128, 16, 1280, 1280, false},
    {"attn2.to_k", 154, 77, 768, 320, false},
    {"time_embed.0", 2, 2, 320, 1280, true, false, false, ops::Activation::silu},
    {"text_model mlp.fc1", 77, 9, 768, 3072, true, false, false, ops::Activation::quick_gelu},
    {"vae attn_1.q", 4096, 17, 512, 512},
    {"vae quant_conv", 8192, 50, 8, 8},
    {"vae post_quant_conv", 4096, 50, 4, 4},
    {"gelu", 100, 21, 96, 100, true, true, false, ops::Activation::gelu},
    {"ragged, one row", 1, 1, 20, 12},
    {"ragged, three columns", 13, 13, 36, 3, true, true},
    {"ragged k", 30, 30, 7, 37},
    {"ragged geglu", 11, 11, 12, 24, true, false, true},
};

struct ConvCase {
    const char* name;
    std::uint32_t n, h, w;  ///< pictures, rows, columns
    std::uint32_t test_h, test_w;
    std::uint32_t c, out;
    std::uint32_t kernel = 3, stride = 1;
    std::uint32_t pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
    bool channel_add = false, residual = false;
    ops::Activation activation = ops::Activation::none;
};

inline constexpr ConvCase conv_cases[] = {
    {"input_blocks.0.0", 2, 64, 64, 9, 7, 4, 320},
    {"input_blocks.1.0 in_layers.2", 2, 64, 64, 6, 5, 320, 320, 3, 1, 1, 1, 1, 1, true},
    {"input_blocks.1.0 out_layers.3", 2, 64, 64, 6, 5, 320, 320, 3, 1, 1, 1, 1, 1, false, true},
    {"input_blocks.3.0 op", 2, 64, 64, 7, 6, 320, 320, 3, 2},
    {"input_blocks.4.0 in_layers.2", 2, 32, 32, 5, 5, 320, 640, 3, 1, 1, 1, 1, 1, true},
    {"output_blocks.5.0 in_layers.2", 2, 32, 32, 4, 3, 1920, 640, 3, 1, 1, 1, 1, 1, true},
    {"middle_block.0 in_layers.2", 2, 8, 8, 3, 3, 1280, 1280, 3, 1, 1, 1, 1, 1, true},
    {"output_blocks.11.0 skip_connection", 2, 64, 64, 5, 9, 640, 320, 1, 1, 0, 0, 0, 0},
    {"out.2", 2, 64, 64, 8, 9, 320, 4},
    {"vae decoder.conv_out", 1, 512, 512, 20, 17, 128, 3},
    {"vae encoder.down.0.downsample", 1, 512, 512, 10, 12, 128, 128, 3, 2, 0, 0, 1, 1},
    {"vae encoder.conv_in", 1, 512, 512, 12, 11, 3, 128},
    {"silu and residual", 3, 16, 16, 7, 5, 24, 36, 3, 1, 1, 1, 1, 1, true, true, ops::Activation::silu},
    {"upscaler, leaky ReLU", 1, 16, 16, 6, 7, 24, 32, 3, 1, 1, 1, 1, 1, false, false, ops::leaky_relu(0.2f)},
    {"ReLU", 1, 16, 16, 5, 4, 12, 16, 3, 1, 1, 1, 1, 1, false, false, ops::Activation::relu},
    {"ragged 5x5", 1, 30, 30, 9, 6, 10, 18, 5, 1, 2, 2, 2, 2},
    {"ragged stride 2, one pad", 2, 31, 29, 11, 9, 16, 20, 3, 2, 1, 0, 0, 1},
    {"wide pads", 1, 8, 8, 3, 2, 16, 8, 3, 1, 3, 2, 1, 4},
};

struct MatmulCase {
    const char* name;
    std::uint32_t n, m, test_m, k, columns;
    bool transpose_b;
    float scale;
};

inline constexpr MatmulCase matmul_cases[] = {
    {"q kᵀ, 40 a head", 16, 4096, 50, 40, 4096, true, 0.158f},
    {"softmax v, 40 a head", 16, 4096, 30, 1024, 40, false, 1},
    {"vae q kᵀ", 1, 4096, 33, 512, 64, true, 0.0442f},
    {"ragged", 3, 37, 37, 20, 12, false, 2},
    {"ragged transposed", 3, 1, 1, 4, 4, true, 1},
};

}  // namespace pumice::test
