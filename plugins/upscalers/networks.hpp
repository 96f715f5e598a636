// The networks of this plugin: recognized by the names and shapes of their tensors, and appended to graphs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pumice/sdk_graph.hpp"

namespace pumice::upscalers {

/// RRDBNet: Wang et al., "ESRGAN", 2018 (arXiv 1809.00219); with the input's pixels unshuffled for small factors: Wang
/// et al., "Real-ESRGAN", 2021 (arXiv 2107.10833).
struct Rrdb {
    /// Names of the parts: those of Real-ESRGAN, of ESRGAN's own code, or of its first models (model.1.sub.0.RDB1...).
    std::string first, trunk, body, high, last;
    std::vector<std::string> up;   ///< convolutions after each doubling
    std::string rdb, conv_suffix;  ///< "rdb" or "RDB", and ".0" behind conv5 in the first models
    std::uint32_t blocks = 0, unshuffle = 1;
    std::uint64_t features = 0;
    double scale() const { return static_cast<double>(1u << up.size()) / unshuffle; }
    /// About what a pixel of the input takes on the device: three tensors at the result's size, the dense blocks' at
    /// the input's.
    double bytes_per_pixel() const { return 4.0 * static_cast<double>(features) * (3 * scale() * scale() + 8); }

    /// False when the file is none; says in `why` when it nearly is.
    static bool read(const sdk::WeightFile&, Rrdb&, std::string& why);
    /// x {1, h, w, 4}, h and w multiples of `unshuffle`, to {1, h scale, w scale, 4} float32.
    pumice_node append(sdk::Graph&, const sdk::WeightFile&, pumice_node x) const;
};

/// SRVGGNetCompact, the small network of Real-ESRGAN's video and anime models: convolutions and PReLUs, a pixel
/// shuffle, and the input enlarged is added.
struct Compact {
    std::string prefix;
    std::uint32_t layers = 0;  ///< convolutions
    std::uint32_t factor = 1;
    std::uint64_t features = 0;
    double scale() const { return factor; }
    double bytes_per_pixel() const { return 4.0 * (4 * static_cast<double>(features) + 16 * scale() * scale()); }

    static bool read(const sdk::WeightFile&, Compact&, std::string& why);
    pumice_node append(sdk::Graph&, const sdk::WeightFile&, pumice_node x) const;
};

}  // namespace pumice::upscalers
