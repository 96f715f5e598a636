// What a ControlNet's file holds: its blocks in order, by the names of its tensors.
#pragma once

#include <string>
#include <vector>

#include "network.hpp"

namespace pumice::controlnet {

struct Member {
    enum class Kind : std::uint8_t { conv, res, transformer, downsample } kind;
    std::string name;  ///< its tensors are this and ".…"
};

struct Block {
    std::vector<Member> members;
    std::string zero;  ///< the convolution between it and the UNet
};

/// Names of a ResBlock's layers in a layout.
struct ResNames {
    const char *in_norm, *in_conv, *emb, *out_norm, *out_conv, *skip;
};

struct HintConv {
    std::string name;
    std::uint32_t stride;
};

struct Geometry {
    std::vector<Block> input;
    Block middle;
    ResNames res{};
    std::vector<HintConv> hint;
    std::string time_1, time_2;
    std::string label_1, label_2;  ///< of SDXL's vector; empty without
};

/// Of a file in the original layout (control_model.input_blocks.0.0, with and without the prefix) or diffusers'
/// (down_blocks.0.resnets.0). PUMICE_SDK_UNSUPPORTED for what is no ControlNet; PUMICE_SDK_BAD_FORMAT for one that
/// lacks something.
pumice_sdk_status read_geometry(const Host&, Geometry&);

}  // namespace pumice::controlnet
