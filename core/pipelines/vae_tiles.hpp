// A picture decoded in pieces that fit together: the same statistics norm all of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "models/vae.hpp"
#include "pipelines/vae_decoder.hpp"

namespace pumice {

/// A tiled plan; see VaeDecoder::plan.
Result<VaeDecodePlan> plan_vae_tiles(Model&, std::uint32_t height, std::uint32_t width, Seamless, std::uint64_t free);

/// The first part of the decoder runs over the whole latent: its attention sees all of it. The second runs in tiles that
/// overlap as far as a pixel is changed by what lies beside it, so that each is, inside, what the whole would be there,
/// but for the group norms: their statistics are the whole picture's in the whole. They are measured over all tiles:
/// once with each tile normed by itself, then by what that gave, and so on, a few times, before the tiles are made.
class VaeTiles {
public:
    VaeTiles(Model& model, const VaeDecodePlan& plan, BufferRange latent, std::uint32_t height, std::uint32_t width,
             Seamless seamless)
        : model_(model), plan_(plan), latent_(std::move(latent)), height_(height), width_(width), seamless_(seamless) {}

    Status run(const std::atomic<bool>* cancel);
    bool fell_back() const { return fell_back_; }
    std::uint32_t count() const { return plan_.tiles_y * plan_.tiles_x; }
    const std::vector<std::uint8_t>& bytes() const { return bytes_; }  ///< {h, w, 4}
    const std::vector<float>& picture() const { return picture_; }     ///< {h, w, 4}

private:
    struct Second;
    /// Of the channels of a norm's groups, over all tiles.
    struct Sums {
        std::vector<double> count, sum, squares;  // by group
    };
    struct Tile {
        std::int64_t y = 0, x = 0;                     // of its window, may lie outside of a seamless picture
        std::uint32_t from_y = 0, from_x = 0, to_y = 0, to_x = 0;  // what of the whole it makes
    };
    Result<BufferRange> first(Shape& shape, const std::atomic<bool>* cancel);
    std::vector<Tile> tiles(const Shape& whole) const;
    Status cut_out(const BufferRange& from, const Shape& whole, const Tile&, const BufferRange& to) const;
    Status measure(Second&, const Tile&, std::vector<Sums>&) const;
    Result<std::vector<std::vector<float>>> tables(const VaeNorms&, const std::vector<Sums>&) const;
    Status keep(Second&, const Shape& whole, const Tile&);

    Model& model_;
    VaeDecodePlan plan_;
    BufferRange latent_;
    std::uint32_t height_, width_;
    Seamless seamless_;
    bool fell_back_ = false;
    std::vector<std::uint8_t> bytes_;
    std::vector<float> picture_;
};

}  // namespace pumice
