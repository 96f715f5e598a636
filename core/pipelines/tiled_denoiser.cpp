#include "pipelines/tiled_denoiser.hpp"

#include <utility>

namespace pumice {

Result<std::unique_ptr<TiledDenoiser>> TiledDenoiser::create(Model& model, GpuTensorMath& math, const Shape& shape,
                                                             const Tiling& tiling, GuidanceOptions options) {
    std::unique_ptr<TiledDenoiser> made(new TiledDenoiser);
    if (tiling.covers(shape)) {
        PUMICE_ASSIGN(made->denoiser_, GuidedDenoiser::create(model, math, shape, options));
        return made;
    }
    if (options.controls && options.controls->any())
        return Error{Code::unsupported, "control networks look at the whole picture, which tiles do not have: leave one of "
                                        "them out"};
    PUMICE_ASSIGN(made->tiles_, LatentTiles::create(model, math, shape, tiling, options.seamless));
    options.controls = nullptr;
    options.seamless = made->tiles_->seamless();
    made->extra_channels_ = static_cast<std::uint32_t>(options.extra.size() / (shape.n * shape.tokens()));
    made->extra_ = std::exchange(options.extra, {});
    options.extra = made->tiles_->cut(made->extra_, made->extra_channels_, 0);
    PUMICE_ASSIGN(made->denoiser_, GuidedDenoiser::create(model, made->tiles_->math(), made->tiles_->shape(), options));
    return made;
}

Status TiledDenoiser::denoise(const Latent& x, double sigma, const Latent& denoised) {
    if (!tiles_) return denoiser_->denoise(x, sigma, denoised);
    return tiles_->run(x, denoised, [&](std::size_t tile, const Latent& in, const Latent& out) -> Status {
        PUMICE_TRY(set_extra(tile));
        return denoiser_->denoise(in, sigma, out);
    });
}

Status TiledDenoiser::denoise_uncond(const Latent& x, double sigma, double scale, const Latent& denoised,
                                     const Latent& uncond) {
    if (!tiles_) return denoiser_->denoise_uncond(x, sigma, scale, denoised, uncond);
    std::vector<Latent> others;  // of the tiles, laid once all are there
    const auto both = [&](std::size_t tile, const Latent& in, const Latent& out) -> Status {
        PUMICE_TRY(set_extra(tile));
        PUMICE_ASSIGN(Latent other, tiles_->math().create_latent());
        others.push_back(std::move(other));
        return denoiser_->denoise_uncond(in, sigma, scale, out, others.back());
    };
    PUMICE_TRY(tiles_->run(x, denoised, both));
    return tiles_->run(x, uncond, [&](std::size_t tile, const Latent&, const Latent& out) {
        return tiles_->math().combine(out, {{1, others[tile]}});
    });
}

Status TiledDenoiser::set_extra(std::size_t tile) {
    return extra_.empty() ? Status{} : denoiser_->set_extra(tiles_->cut(extra_, extra_channels_, tile));
}

}  // namespace pumice
