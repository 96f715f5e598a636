#include "pipelines/vae_encoder.hpp"

#include <array>

#include "models/vae.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {

Result<std::unique_ptr<VaeEncoder>> VaeEncoder::create(Model& model, std::uint32_t height, std::uint32_t width,
                                                       Seamless seamless) {
    std::unique_ptr<VaeEncoder> made(new VaeEncoder);
    made->device_ = model.device();
    made->height_ = height, made->width_ = width;
    const std::uint32_t factor = model.config().vae.factor(), channels = model.config().vae.latent_channels;
    const Shape picture{1, height, width, 4}, latent{1, height / factor, width / factor, channels};
    PUMICE_ASSIGN(made->picture_, make_range(*model.device(), picture.elements(), Intent::device, "picture"));
    PUMICE_ASSIGN(made->mean_,
                  make_range(*model.device(), latent.elements() * sizeof(float), Intent::device, "latent"));
    WeightSet& weights = model.tiny_encoder() ? model.tiny_encoder()->weights : model.vae_weights();
    const auto build = [&model, encoder = made.get(), picture, latent](Graph& g) {
        const TensorId bytes = g.external(picture, DType::u8, encoder->picture_, "picture");
        const TensorId result = g.external(latent, DType::f32, encoder->mean_, "mean");
        if (Model::TinyVae* tiny = model.tiny_encoder()) {
            const TensorId encoded = taesd_encode(g, tiny->weights, tiny->half, ops::from_image(g, bytes, 1, 0));
            if (g.error()) return TensorId{};
            // As the VAE would have given it, which callers multiply by the factor.
            ops::linear_combination(
                g, std::array{ops::Term{encoded, static_cast<float>(1 / model.config().vae.scaling_factor)}}, result);
            return encoded;
        }
        const TensorId image = ops::from_image(g, bytes);
        const TensorId moments = vae_encode(g, model.vae_weights(), image);
        if (g.error()) return TensorId{};
        const std::array mean{ops::Term{ops::slice_channels(g, moments, 0, latent.c), 1}};
        ops::linear_combination(g, mean, result);
        return moments;
    };
    PUMICE_ASSIGN(made->program_,
                  CheckedProgram::create(model, weights,
                                         {.name = "VAE encoder", .seamless = seamless, .build = build}));
    return made;
}

Result<std::vector<float>> VaeEncoder::encode(const Pixels& rgb, const std::atomic<bool>* cancel) {
    if (rgb.width != width_ || rgb.height != height_ || rgb.channels != 3)
        return Error{Code::internal, "a picture of another size than the VAE encoder was made for"};
    std::vector<std::uint8_t> rgbx(rgb.bytes.size() / 3 * 4, 0);
    for (std::size_t i = 0, pixels = rgbx.size() / 4; i < pixels; ++i)
        for (std::size_t c = 0; c < 3; ++c) rgbx[4 * i + c] = rgb.bytes[3 * i + c];
    PUMICE_TRY(write_range(device_, picture_, std::as_bytes(std::span(rgbx))));
    PUMICE_TRY(program_->run(cancel));
    std::vector<float> mean(mean_.size / sizeof(float));
    PUMICE_TRY(read_range(device_, mean_, std::as_writable_bytes(std::span(mean))));
    return mean;
}

}  // namespace pumice
