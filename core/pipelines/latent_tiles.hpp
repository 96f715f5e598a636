// A denoiser that sees a latent tile by tile (MultiDiffusion: Bar-Tal et al. 2023, arXiv 2302.08113, equation 5): tiles
// overlap, each is denoised by itself, and each pixel is the weighted mean of what its tiles say.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "diffusion/gpu_tensor_math.hpp"
#include "graph/graph.hpp"
#include "graph/program.hpp"
#include "models/model.hpp"

namespace pumice {

/// Of the latent's pixels.
struct Tiling {
    std::uint32_t height = 0, width = 0;  ///< 0: all of it
    std::uint32_t overlap = 0;            ///< of neighbours, at least; below height and width
    Tiling within(const Shape& latent) const;
    bool covers(const Shape& latent) const;
};

/// The first pixels of the tiles along an axis of `size`, as even as whole numbers are. With `wraps` they go round.
std::vector<std::uint32_t> tile_starts(std::uint32_t size, std::uint32_t tile, std::uint32_t overlap, bool wraps);
/// What each pixel of each tile counts, tile after tile: growing from its ends over the overlap, and divided so that the sum
/// at every place is 1. In double and rounded once: the same everywhere.
std::vector<float> tile_weights(std::uint32_t size, std::uint32_t tile, std::uint32_t overlap,
                                const std::vector<std::uint32_t>& starts);

class LatentTiles {
public:
    /// `math` is that of the whole latents, of `shape`. It and the model outlive this. Along axes that are seamless and cut,
    /// tiles go round.
    static Result<std::unique_ptr<LatentTiles>> create(Model&, GpuTensorMath& math, const Shape& shape, const Tiling&,
                                                       Seamless);
    ~LatentTiles();

    /// That of one tile: {n, height, width, c}.
    GpuTensorMath& math() { return *tile_math_; }
    const Shape& shape() const { return tile_; }
    /// What is left to a tile's own convolutions: the seamless axes that it covers.
    Seamless seamless() const { return seamless_; }
    std::size_t count() const { return places_.size(); }
    /// That part of {n, h, w, c} for the tile, on the host.
    std::vector<float> cut(const std::vector<float>& nhwc, std::uint32_t channels, std::size_t tile) const;

    /// `denoised` is put together of what `each` (tile's number, tile of x, its output) makes of the tiles.
    Status run(const Latent& x, const Latent& denoised,
               const std::function<Status(std::size_t, const Latent&, const Latent&)>& each);

private:
    struct Place {
        std::uint32_t top = 0, left = 0, row_weights = 0, column_weights = 0;
        std::unique_ptr<Program> cut, lay;
    };
    LatentTiles(Model& model, GpuTensorMath& math) : model_(model), math_(math) {}
    Status record(Place&);

    Model& model_;
    GpuTensorMath& math_;
    Shape shape_, tile_;
    Seamless seamless_;
    std::unique_ptr<GpuTensorMath> tile_math_;
    Latent x_, sum_;             ///< whole
    Latent in_, out_;            ///< of a tile
    BufferRange weights_;
    std::uint64_t weight_count_ = 0;
    Arena arena_;
    std::vector<Place> places_;
};

}  // namespace pumice
