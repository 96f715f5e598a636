#include "pipelines/text_to_image.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "pipelines/guided_denoiser.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "pipelines/vae_decoder.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

class Stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// One request on its way through the stages.
struct Run {
    Model& model;
    const TextToImageRequest& request;
    const RequestControl& control;
    TextToImageResult result{};
    Stopwatch clock{};

    Shape latent_shape() const {
        const std::uint32_t factor = model.config().vae.factor();
        return {request.batch, request.height / factor, request.width / factor, 4};
    }
    void report(Progress::Stage stage, std::uint32_t step, std::uint32_t steps) const {
        if (control.on_progress) control.on_progress({stage, step, steps, clock.seconds()});
    }
    bool cancelled() const { return control.cancel && control.cancel->load(std::memory_order_relaxed); }

    Result<PromptConditioning> encode();
    Status denoise(PromptConditioning&, GpuTensorMath&, const Latent& x);
    Status decode(GpuTensorMath&, const Latent& x);
    Result<TextToImageResult> run();
};

Status check(const TextToImageRequest& r, const Model& model) {
    const auto wrong = [](const std::string& text) { return Error{Code::invalid_argument, text}; };
    if (!r.sampler) return wrong("no sampler is given");
    const std::uint32_t factor = model.config().vae.factor();
    for (const auto& [name, value] : {std::pair{"width", r.width}, std::pair{"height", r.height}})
        if (value % factor != 0 || value < 64 || value > 16384)
            return wrong(fmt::format("{} {}: use a multiple of {} from 64 to 16384", name, value, factor));
    if (r.steps < 1 || r.steps > 1000) return wrong(fmt::format("steps {}: use 1 to 1000", r.steps));
    if (r.batch < 1 || r.batch > 64) return wrong(fmt::format("batch {}: use 1 to 64", r.batch));
    if (!std::isfinite(r.guidance_scale) || r.guidance_scale < 0 || r.guidance_scale > 100)
        return wrong(fmt::format("guidance scale {}: use 0 to 100", r.guidance_scale));
    if (r.clip_skip < 1 || r.clip_skip > model.config().text.layers)
        return wrong(fmt::format("clip skip {}: the text encoder has {} layers, use 1 to {}", r.clip_skip,
                                 model.config().text.layers, model.config().text.layers));
    return {};
}

Result<PromptConditioning> Run::encode() {
    const Stopwatch stage;
    PUMICE_ASSIGN(auto conditioning,
                  PromptConditioning::encode(model, request.prompt, request.negative_prompt,
                                             request.steps * request.sampler->calls_per_step(), request.clip_skip, control.cancel));
    if (!model.fits_at_once()) model.text_weights().release();
    result.text_seconds = stage.seconds();
    report(Progress::Stage::text, request.batch, request.batch);
    return conditioning;
}

Status Run::denoise(PromptConditioning& conditioning, GpuTensorMath& math, const Latent& x) {
    PUMICE_ASSIGN(const std::vector<float> sigmas, request.sampler->sigmas(SigmaTable::scaled_linear(), request.steps));
    PUMICE_ASSIGN(const auto controls, ControlSet::create(model, request.controls, latent_shape(), control.cancel));
    PUMICE_ASSIGN(const auto denoiser,
                  GuidedDenoiser::create(model, math, latent_shape(),
                                         {.scale = double(request.guidance_scale),
                                          .method = request.guidance.get(),
                                          .controls = controls.get(),
                                          .cancel = control.cancel}));
    PUMICE_TRY(math.noise(x));
    PUMICE_TRY(math.combine(x, {{request.sampler->initial_scale(sigmas), x}}));

    std::uint32_t call = 0;
    const double calls = double(request.steps) * request.sampler->calls_per_step();
    Stopwatch step_clock;
    const Denoise denoise = [&](const Latent& in, double sigma, const Latent& out) -> Status {
        if (cancelled()) return Error{Code::cancelled, "cancelled"};
        PUMICE_TRY(denoiser->set_progress(std::min(1.0, call / calls)));
        if (const PromptStep* next = conditioning.starting_at(call++)) {
            const std::vector<const Conditioning*> cond(request.batch, next->cond), uncond(request.batch, next->uncond);
            PUMICE_TRY(denoiser->set_conditioning(cond, uncond));
        }
        return denoiser->denoise(in, sigma, out);
    };
    SamplerCall sampling{.math = math, .denoise = denoise, .sigmas = sigmas};
    sampling.check = [&]() -> Status { return cancelled() ? Status(Error{Code::cancelled, "cancelled"}) : Status{}; };
    sampling.on_step = [&](std::uint32_t step, std::uint32_t steps) -> Status {
        result.step_seconds.push_back(step_clock.seconds());
        step_clock = {};
        report(Progress::Stage::step, step + 1, steps);
        if (cancelled()) return Error{Code::cancelled, "cancelled"};
        return {};
    };
    PUMICE_TRY(request.sampler->run(sampling, x));
    result.unet_flops = denoiser->flops();
    if (denoiser->fell_back())
        result.notes.push_back("the UNet overflowed fp16; its steps from there on were done in fp32");
    return {};
}

Status Run::decode(GpuTensorMath& math, const Latent& x) {
    const Stopwatch stage;
    const Shape shape = latent_shape();
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(model, shape.h, shape.w));
    const BufferRange latents = math.range(x);
    const std::uint64_t bytes = decoder->input().size;
    for (std::uint32_t i = 0; i < request.batch; ++i) {
        PUMICE_TRY(copy_range(model.device(), {latents.buffer, latents.offset + i * bytes, bytes}, decoder->input()));
        PUMICE_TRY(decoder->run(control.cancel));
        Image image{request.width, request.height, std::vector<std::uint8_t>(3ull * request.width * request.height)};
        PUMICE_TRY(decoder->read_rgb(image.rgb));
        result.images.push_back(std::move(image));
        report(Progress::Stage::decode, i + 1, request.batch);
    }
    if (decoder->fell_back()) result.notes.push_back("the VAE overflowed fp16; the pictures were decoded in fp32");
    result.decode_seconds = stage.seconds();
    return {};
}

Result<TextToImageResult> Run::run() {
    PUMICE_ASSIGN(PromptConditioning conditioning, encode());
    const Shape shape = latent_shape();
    const NoiseOptions noise{.kind = request.rng, .seed = request.seed};
    PUMICE_ASSIGN(const auto math, GpuTensorMath::create(model.device(), *model.kernels(), shape, model.precision(),
                                                         draw_from(BatchNoise(noise, request.batch), shape),
                                                         brownian_from(noise, shape)));
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    PUMICE_TRY(denoise(conditioning, *math, x));
    if (!model.fits_at_once()) model.unet_weights().release();
    PUMICE_TRY(decode(*math, x));
    if (!model.fits_at_once()) model.vae_weights().release();
    return std::move(result);
}

}  // namespace

Result<TextToImageResult> text_to_image(Model& model, const TextToImageRequest& request, const RequestControl& control) {
    PUMICE_TRY(check(request, model));
    Run run{model, request, control};
    return run.run();
}

}  // namespace pumice
