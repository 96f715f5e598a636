// What a picture looks like while it is made.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "diffusion/gpu_tensor_math.hpp"
#include "models/model.hpp"
#include "pipelines/pixels.hpp"
#include "pipelines/vae_decoder.hpp"

namespace pumice {

enum class PreviewMethod : std::uint8_t {
    latent_rgb,  ///< a colour of each of the latent's pixels: an eighth of the picture's size
    taesd,       ///< the tiny autoencoder: of the picture's size
};

struct Preview {
    std::uint32_t step = 0, steps = 0;  ///< the model's picture at the beginning of that step, from 1
    std::uint32_t picture = 0, pictures = 1;  ///< of the batch
    const Pixels& rgb;
};

struct PreviewOptions {
    std::uint32_t every = 0;  ///< steps; 0: none
    PreviewMethod method = PreviewMethod::latent_rgb;
    std::filesystem::path tiny_file = {};  ///< TAESD's decoder; empty: the model's, where it has one
    std::function<void(const Preview&)> show = {};
};

/// RGB (0…1) = bias + sum of a latent's four channels times their weights.
struct LatentColours {
    std::array<std::array<double, 3>, 4> weights{};
    std::array<double, 3> bias{0.5, 0.5, 0.5};
};

/// By least squares over latents {count, 4} and their colours {count, 3}.
LatentColours fit_colours(const std::vector<float>& latents, const std::vector<float>& rgb);
/// {h, w, 4} NHWC to pixels.
Pixels colour_latent(const LatentColours&, std::span<const float> nhwc, std::uint32_t height, std::uint32_t width);

class Previewer {
public:
    /// The factors published for Stable Diffusion 1 and 2 and for XL (ComfyUI, comfy/latent_formats.py; the idea:
    /// discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204) where the VAE has their geometry; of
    /// another VAE, whose latents are its own, by encoding a small picture of known colours once. Model and math outlive
    /// this.
    static Result<std::unique_ptr<Previewer>> create(Model&, GpuTensorMath&, const Shape& latents, const PreviewOptions&);

    /// Shows what the batch looks like. Reads `denoised` and changes nothing.
    Status show(const Latent& denoised, std::uint32_t step, std::uint32_t steps);

private:
    Previewer(Model& model, GpuTensorMath& math, const Shape& shape, const PreviewOptions& options)
        : model_(model), math_(math), shape_(shape), options_(options) {}
    Status use_tiny();
    Result<LatentColours> colours();
    Result<Pixels> picture(const Latent& denoised, std::uint32_t index, const std::vector<float>& nchw);

    Model& model_;
    GpuTensorMath& math_;
    Shape shape_;
    PreviewOptions options_;
    LatentColours colours_;
    std::optional<WeightFile> file_;
    std::optional<Model::TinyVae> tiny_;
    std::unique_ptr<VaeDecoder> decoder_;
};

}  // namespace pumice
