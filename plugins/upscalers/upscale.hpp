// From a picture to a larger one: by a network in tiles, or by resampling.
#pragma once

#include <cstdint>

#include "networks.hpp"
#include "pumice/sdk_graph.hpp"

namespace pumice::upscalers {

/// How far a job is: steps of all its parts.
struct Steps {
    std::uint32_t done = 0, all = 0;
};

struct TileOptions {
    std::uint32_t tile = 256, overlap = 16;  ///< pixels of the input
};

/// The channels of `out` (bits) from `in`, by PUMICE_RESAMPLE_BICUBIC or _LANCZOS, in tiles that do not show.
void resample(sdk::Job&, const sdk::Picture& in, sdk::Picture& out, std::uint32_t method, std::uint32_t channels,
              Steps&);
std::uint32_t resample_steps(const sdk::Picture& out);

/// Runs a network (Rrdb, Compact) over `in`, which is network.scale() times smaller than `out`; writes RGB. `align`:
/// what the sides of its input are multiples of.
template <class Network>
void enlarge(sdk::Job&, const Network&, const sdk::WeightFile&, const sdk::Picture& in, sdk::Picture& out,
             const TileOptions&, Steps&, std::uint32_t align);
extern template void enlarge(sdk::Job&, const Rrdb&, const sdk::WeightFile&, const sdk::Picture&, sdk::Picture&,
                             const TileOptions&, Steps&, std::uint32_t);
extern template void enlarge(sdk::Job&, const Compact&, const sdk::WeightFile&, const sdk::Picture&, sdk::Picture&,
                             const TileOptions&, Steps&, std::uint32_t);
/// The tiles that the device has room for, at most as large as asked for.
TileOptions fitting(sdk::Job&, const TileOptions&, double bytes_per_pixel);
std::uint32_t enlarge_steps(const sdk::Picture& in, const TileOptions&, std::uint32_t align);

}  // namespace pumice::upscalers
