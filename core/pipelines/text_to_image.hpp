// Prompt in, and perhaps a picture; pictures out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/rng.hpp"
#include "diffusion/sampler.hpp"
#include "models/model.hpp"
#include "pipelines/control.hpp"
#include "pipelines/hires.hpp"
#include "pipelines/preview.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "pipelines/source_picture.hpp"

namespace pumice {

struct TextToImageRequest {
    std::string prompt;
    std::string negative_prompt;
    std::uint32_t width = 512, height = 512;  ///< pixels, multiples of 8, 64…16384
    std::uint32_t steps = 20;                 ///< 1…1000
    float guidance_scale = 7.0f;              ///< 1 or less: no guidance
    std::shared_ptr<Sampler> sampler;         ///< with its schedule; for this request alone
    std::shared_ptr<Guidance> guidance;       ///< null: the engine's own; for this request alone
    std::vector<Control> controls;            ///< for this request alone
    std::uint64_t seed = 0;                   ///< picture i of the batch has seed + i
    RngKind rng = RngKind::torch_cpu;
    /// How far the noise goes towards that of variation_seed, 0…1. Beyond 0 all pictures have `seed`, and picture i the
    /// variation variation_seed + i, as in AUTOMATIC1111.
    float variation_strength = 0;
    std::uint64_t variation_seed = 0;
    /// Pixels: the noise resembles that of a picture of this size (A1111's "resize seed from"). 0: of this one's.
    std::uint32_t seed_width = 0, seed_height = 0;
    std::uint64_t eta_seed_delta = 0;         ///< see NoiseOptions
    Seamless seamless;                        ///< along these axes the picture can be laid beside itself
    /// Pixels, multiples of 8: the UNet sees tiles of this size (pipelines/latent_tiles.hpp), which overlap by that much at
    /// least. 0: all of that side.
    std::uint32_t tile_width = 0, tile_height = 0, tile_overlap = 0;
    /// Ends with what the model sees in the picture at the beginning of this step, counted from 1 over both passes; a second
    /// pass that is not reached is left out. 0, or more steps than there are: to the end.
    std::uint32_t stop_at = 0;
    std::uint32_t batch = 1;                  ///< 1…64
    std::uint32_t clip_skip = 1;              ///< 1: the last layer; 2: the one before …
    Emphasis emphasis = Emphasis::original;
    std::vector<TextualInversion> embeddings;  ///< words of the prompts that stand for vectors
    PictureSizes sizes;                       ///< what SD XL is told of the picture
    PictureInput picture;                     ///< to begin with; without one, from noise
    HiresOptions hires;                       ///< a second, larger pass; the refiner is then of that one
    /// SD XL's refiner, or any other model of the same latent: it takes over where the model time that is gone, of the
    /// whole from pure noise, exceeds refiner_switch (0…1). Null: none. It outlives the request.
    Model* refiner = nullptr;
    float refiner_switch = 0.8f;
};

struct Progress {
    enum class Stage : std::uint8_t { load, text, step, decode } stage;
    std::uint32_t step = 0, steps = 0;  ///< Stage::step: step 1…steps has just ended; others: pictures done of the batch
    double seconds = 0;                 ///< since the request began
};

/// Callbacks run on the calling thread, between submissions.
struct RequestControl {
    std::function<void(const Progress&)> on_progress;
    const std::atomic<bool>* cancel = nullptr;  ///< may be set from any thread or a signal handler
    /// Likewise: the sampling ends with the step that runs, as with stop_at.
    const std::atomic<bool>* finish = nullptr;
    PreviewOptions preview;
};

struct Image {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;  ///< row by row from the top, 3 bytes a pixel
};

struct TextToImageResult {
    std::vector<Image> images;
    double text_seconds = 0, encode_seconds = 0, decode_seconds = 0;
    std::vector<double> step_seconds;
    std::uint64_t streamed = 0;         ///< bytes of weights that came and went in each evaluation of the UNet
    std::uint32_t tiles = 0;            ///< that the pictures were decoded in; 0: whole
    double unet_flops = 0;              ///< of one evaluation, all batches
    std::uint32_t stopped_at = 0;       ///< the step that the pictures were taken from, as stop_at counts; 0: the end
    std::vector<std::string> notes;     ///< said once each: "the UNet overflowed fp16 at step 3; went on in fp32"
};

/// Code::invalid_argument names the field; Code::not_finite when even fp32 gives NaN (damaged weights);
/// Code::cancelled. Deterministic: the same request on the same device and precision gives the same bytes.
Result<TextToImageResult> text_to_image(Model& model, const TextToImageRequest&, const RequestControl& = {});

}  // namespace pumice
