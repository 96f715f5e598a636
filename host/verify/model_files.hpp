// Small files of weights in the layouts that are in use, for plugins that read them: random numbers, of no meaning.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {

/// The UNet that a control network is to steer: what its input blocks give.
struct UnetShape {
    std::string family;  ///< "sd1"
    std::uint32_t model_channels = 320, context_channels = 768, vector_channels = 0;
    std::uint32_t heads = 8, head_channels = 0;
    std::vector<std::uint32_t> factors = {1, 2, 4, 4};  ///< of the channels, by level
    std::uint32_t res_blocks = 2;                       ///< a level
};

struct MadeFile {
    std::string path;
    UnetShape unet;  ///< of a control network's
};

/// Files in the folder, made when they are not there yet; each is written once a process.
/// RRDBNet and SRVGGNetCompact.
Result<std::vector<MadeFile>> make_upscalers(const std::filesystem::path& folder);
/// A ControlNet and a T2I-Adapter.
Result<std::vector<MadeFile>> make_controls(const std::filesystem::path& folder);
/// A file of weights that is no network's.
Result<std::string> make_other(const std::filesystem::path& folder);
/// A text that is no file of weights.
Result<std::string> make_text(const std::filesystem::path& folder);

}  // namespace pumice::verify
