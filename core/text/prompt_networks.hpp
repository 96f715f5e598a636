// `<lora:name:weight>` in a prompt, as AUTOMATIC1111's web UI reads it (modules/extra_networks.py and
// extensions-builtin/Lora/extra_networks_lora.py there).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// One adapter that a prompt asks for.
struct PromptNetwork {
    std::string kind;  ///< "lora" or "hypernet"
    std::string name;
    float text = 1, unet = 1;  ///< strengths of the text encoders and of the UNet
};

struct PromptWithNetworks {
    std::string text;  ///< without them
    std::vector<PromptNetwork> networks;
};

/// Takes `<lora:name>`, `<lora:name:weight>`, `<lora:name:text:unet>` and `<lora:name:te=…:unet=…>` out of a prompt;
/// `<lyco:…>` is the same, `<hypernet:name:weight>` like it. Whatever else stands in angle brackets is left.
/// Code::invalid_argument for a weight that is no number of at most 1000.
Result<PromptWithNetworks> take_networks(std::string_view prompt);

}  // namespace pumice
