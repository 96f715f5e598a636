// The UNet with guidance over latents of any size: whole, or tile by tile.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "pipelines/guided_denoiser.hpp"
#include "pipelines/latent_tiles.hpp"

namespace pumice {

class TiledDenoiser {
public:
    /// As GuidedDenoiser::create; where the tiling covers the latent it is that denoiser, otherwise one of a tile's size,
    /// and so of a tile's memory. Methods of guidance then see a tile at a time. Code::unsupported for tiles with controls,
    /// whose pictures are of the whole.
    static Result<std::unique_ptr<TiledDenoiser>> create(Model&, GpuTensorMath& math, const Shape& shape, const Tiling&,
                                                         GuidanceOptions);

    Status set_conditioning(std::span<const GuidedPart> parts, std::span<const Conditioning* const> uncond) {
        return denoiser_->set_conditioning(parts, uncond);
    }
    Status set_progress(double progress) { return denoiser_->set_progress(progress); }
    Status denoise(const Latent& x, double sigma, const Latent& denoised);
    Status denoise_uncond(const Latent& x, double sigma, double scale, const Latent& denoised, const Latent& uncond);
    bool fell_back() const { return denoiser_->fell_back(); }
    std::uint64_t arena_bytes() const { return denoiser_->arena_bytes(); }
    std::uint64_t streamed() const { return denoiser_->streamed() * (tiles_ ? tiles_->count() : 1); }
    double flops() const { return denoiser_->flops() * (tiles_ ? double(tiles_->count()) : 1); }

private:
    TiledDenoiser() = default;
    /// What the UNet sees beside a tile.
    Status set_extra(std::size_t tile);
    std::vector<float> extra_;  ///< of the whole
    std::uint32_t extra_channels_ = 0;
    std::unique_ptr<LatentTiles> tiles_;  ///< null: whole
    std::unique_ptr<GuidedDenoiser> denoiser_;  ///< its latents are the tiles'
};

}  // namespace pumice
