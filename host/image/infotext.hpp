// The text under "parameters" in a PNG, as AUTOMATIC1111's web UI writes and reads it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include <utility>
#include <vector>

namespace pumice::host {

struct PictureInfo {
    std::string prompt, negative_prompt;
    std::uint32_t steps = 0;
    std::string sampler;   ///< Pumice's name: "euler_a"
    std::string schedule;  ///< Pumice's name: "karras"
    std::string guidance;  ///< a plugin's method; "" is not written
    std::vector<std::pair<std::string, std::string>> guidance_params;  ///< those given: "phi", "0.7"
    std::vector<std::string> controls;  ///< "Module: canny, Model: …" of each, as the ControlNet extension writes units
    /// Names and hashes, as the Lora extension writes them.
    std::vector<std::pair<std::string, std::string>> loras = {};
    std::vector<std::pair<std::string, std::string>> embeddings = {};  ///< likewise, of textual inversion
    std::string emphasis = {};  ///< "No norm"; "" is not written
    double guidance_scale = 0;
    std::uint64_t seed = 0;
    std::uint32_t width = 0, height = 0;
    std::string model_hash;       ///< hexadecimal SHA-256 of the file, of which the first 10 digits are written
    std::string model_name;       ///< the file's name without its ending
    std::uint32_t clip_skip = 1;  ///< 1 is not written
    std::string rng;              ///< Pumice's name: "torch-cpu"
    /// Settings beyond those, in the web UI's words: "Denoising strength".
    std::vector<std::pair<std::string, std::string>> more = {};
    std::string version;          ///< "pumice 0.1.0"
};

/// The web UI's name of a sampler, or its own.
std::string sampler_label(const std::string& name);

/// prompt, "Negative prompt: …" (unless empty) and the line of settings, as create_infotext in the web UI's
/// modules/processing.py (1.9 and later) orders and quotes them. What is empty is left out.
std::string infotext(const PictureInfo&);

}  // namespace pumice::host
