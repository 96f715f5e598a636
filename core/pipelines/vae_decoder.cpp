#include "pipelines/vae_decoder.hpp"

#include <array>
#include <vector>

#include "models/vae.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

/// Drops the fourth channel.
template <class T>
void to_rgb(const std::vector<T>& rgbx, std::span<T> rgb) {
    for (std::size_t i = 0, pixels = rgb.size() / 3; i < pixels; ++i)
        for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = rgbx[4 * i + c];
}

}  // namespace

Result<std::unique_ptr<VaeDecoder>> VaeDecoder::create(Model& model, std::uint32_t height, std::uint32_t width,
                                                       Seamless seamless, Model::TinyVae* tiny) {
    if (!tiny) tiny = model.tiny_decoder();
    std::unique_ptr<VaeDecoder> made(new VaeDecoder);
    made->device_ = model.device();
    const std::uint64_t bytes = std::uint64_t(height) * width * 4 * sizeof(float);
    PUMICE_ASSIGN(made->latent_, make_range(*model.device(), bytes, Intent::device, "latent"));
    made->tiny_ = tiny != nullptr;
    WeightSet& weights = tiny ? tiny->weights : model.vae_weights();
    const auto build = [&model, tiny, decoder = made.get(), height, width](Graph& g) {
        const TensorId latent = g.external({1, height, width, 4}, DType::f32, decoder->latent_, "latent");
        if (tiny) {
            decoder->picture_ = taesd_decode(g, tiny->weights, tiny->half, ops::cast(g, latent, g.activation()));
            if (g.error()) return TensorId{};
            decoder->bytes_ = ops::to_image(g, decoder->picture_, 1, 0);
            g.keep(decoder->picture_);
            g.keep(decoder->bytes_);
            return decoder->picture_;
        }
        const std::array unscaled{ops::Term{latent, static_cast<float>(1.0 / model.config().vae.scaling_factor)}};
        const TensorId z = ops::cast(g, ops::linear_combination(g, unscaled), g.activation());
        decoder->picture_ = vae_decode(g, model.vae_weights(), z);
        if (g.error()) return TensorId{};
        decoder->bytes_ = ops::to_image(g, decoder->picture_);
        g.keep(decoder->picture_);
        g.keep(decoder->bytes_);
        return decoder->picture_;
    };
    PUMICE_ASSIGN(made->program_,
                  CheckedProgram::create(model, weights,
                                         {.name = "VAE decoder", .seamless = seamless, .build = build}));
    return made;
}

Status VaeDecoder::run(const std::atomic<bool>* cancel) {
    if (tiny_) {
        std::vector<float> latent(latent_.size / sizeof(float));
        PUMICE_TRY(read_range(device_, latent_, std::as_writable_bytes(std::span(latent))));
        taesd_clamp(latent);
        PUMICE_TRY(write_range(device_, latent_, std::as_bytes(std::span<const float>(latent))));
    }
    return program_->run(cancel);
}

Status VaeDecoder::read_rgb(std::span<std::uint8_t> rgb) {
    std::vector<std::uint8_t> rgbx(rgb.size() / 3 * 4);
    PUMICE_TRY(read_range(device_, program_->program().range(bytes_), std::as_writable_bytes(std::span(rgbx))));
    to_rgb(rgbx, rgb);
    return {};
}

Status VaeDecoder::read_float(std::span<float> rgb) {
    std::vector<float> rgbx(rgb.size() / 3 * 4);
    PUMICE_TRY(read_range(device_, program_->program().range(picture_), std::as_writable_bytes(std::span(rgbx))));
    to_rgb(rgbx, rgb);
    return {};
}

}  // namespace pumice
