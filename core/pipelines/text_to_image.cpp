#include "pipelines/text_to_image.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "pipelines/prompt_conditioning.hpp"
#include "pipelines/tiled_denoiser.hpp"
#include "pipelines/vae_decoder.hpp"
#include "pipelines/vae_encoder.hpp"
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
    std::uint32_t earlier_steps = 0;  ///< of the pass before

    Shape latent_shape() const {
        const std::uint32_t factor = model.config().vae.factor();
        return {request.batch, request.height / factor, request.width / factor, 4};
    }
    PictureSizes sizes() const {
        PictureSizes s = request.sizes;
        const auto height = static_cast<float>(request.height), width = static_cast<float>(request.width);
        if (s.original_height <= 0) s.original_height = height;
        if (s.original_width <= 0) s.original_width = width;
        if (s.target_height <= 0) s.target_height = height;
        if (s.target_width <= 0) s.target_width = width;
        return s;
    }
    void report(Progress::Stage stage, std::uint32_t step, std::uint32_t steps) const {
        if (control.on_progress) control.on_progress({stage, step, steps, clock.seconds()});
    }
    NoiseOptions noise() const {
        const std::uint32_t factor = model.config().vae.factor();
        return {.kind = request.rng,
                .seed = request.seed,
                .one_seed = request.variation_strength != 0,
                .eta_seed_delta = request.eta_seed_delta,
                .variation_seed = request.variation_seed,
                .variation_strength = request.variation_strength,
                .resized_rows = request.seed_height / factor,
                .resized_columns = request.seed_width / factor};
    }
    bool cancelled() const { return control.cancel && control.cancel->load(std::memory_order_relaxed); }

    /// What the steps begin with, and are held to.
    struct Start {
        std::optional<SourcePicture> picture;
        std::vector<float> latent;       ///< {1 or batch, h, w, 4} NHWC, scaled; empty without a picture
        std::vector<float> latent_mask;  ///< {h, w}: 1 is painted anew; empty without a mask
        std::vector<float> extra;        ///< GuidanceOptions::extra of the model
    };
    /// A model on its way through the steps.
    struct Stage {
        Model* model;
        PromptConditioning prompts;
        std::unique_ptr<ControlSet> controls = {};  ///< of the request's model alone
        std::unique_ptr<TiledDenoiser> denoiser = {};
    };
    /// Where the sampling is, and what is done beside it.
    struct Watch {
        std::uint32_t steps = 0;        ///< of this pass
        std::uint32_t done = 0;         ///< of them
        bool seen = false;              ///< the model has been asked in this step
        Latent early = {};              ///< the picture, where it ended early
        std::unique_ptr<Previewer> preview = {};
    };
    Status look(Watch&, GpuTensorMath&, const Latent& denoised);
    bool ends_early(std::uint32_t step) const {
        return (control.finish && control.finish->load(std::memory_order_relaxed)) ||
               (request.stop_at > 0 && step >= request.stop_at);
    }
    Tiling tiling() const {
        const std::uint32_t factor = model.config().vae.factor();
        return {request.tile_height / factor, request.tile_width / factor, request.tile_overlap / factor};
    }

    Result<PromptConditioning> encode(Model&) const;
    Result<Start> begin();
    Result<Start> begin_with(std::vector<float> latents);
    Result<Latent> upload(GpuTensorMath&, const std::vector<float>& nhwc) const;
    Status start(const Start&, GpuTensorMath&, const Latent& x, double first_sigma, Latent& init, Latent& kept);
    Status denoise(const Start&, std::vector<Stage>&, GpuTensorMath&, const Latent& x, std::span<const float> sigmas);
    Status prepare(Stage&, const Start&, GpuTensorMath&) const;
    Status set_conditioning(Stage&, std::uint32_t call, bool always) const;
    Result<std::vector<Pixels>> decode(GpuTensorMath&, const Latent& x);
    Result<std::vector<float>> enlarge(GpuTensorMath&, const Latent& x);
    /// The second pass, over latents {batch, h, w, 4} NHWC, scaled.
    Result<TextToImageResult> run_hires(std::vector<float> latents);
    Result<TextToImageResult> run(std::vector<float> latents = {});
};

Status check_hires(const TextToImageRequest& r, std::uint32_t factor) {
    const auto wrong = [](const std::string& text) { return Error{Code::invalid_argument, text}; };
    const HiresOptions& h = r.hires;
    if (!h.given()) return {};
    if (r.picture.given()) return wrong("a second, larger pass goes with text alone, not with a picture to begin with");
    if (!h.sampler) return wrong("no sampler is given for the second pass");
    if (h.width % factor != 0 || h.height % factor != 0 || h.width < r.width || h.height < r.height ||
        h.width > 16384 || h.height > 16384)
        return wrong(fmt::format("the second pass is {}x{}: use multiples of {}, no smaller than the first and up to "
                                 "16384",
                                 h.width, h.height, factor));
    if (!(h.strength > 0 && h.strength <= 1))
        return wrong(fmt::format("strength {} of the second pass: use more than 0, up to 1", h.strength));
    if (const std::uint32_t whole = whole_steps(h.steps ? h.steps : r.steps, as_written(h.strength)); whole > 1000)
        return wrong(fmt::format("the second pass would be the end of {} steps, more than 1000: use fewer steps or a "
                                 "larger strength",
                                 whole));
    return {};
}

Status check_tiles(const TextToImageRequest& r, std::uint32_t factor) {
    for (const auto& [name, value] : {std::pair{"tile width", r.tile_width}, std::pair{"tile height", r.tile_height}})
        if (value != 0 && (value % factor != 0 || value < 64 || value > 16384 || r.tile_overlap >= value))
            return Error{Code::invalid_argument,
                         fmt::format("{} {}: use a multiple of {} from 64 to 16384, more than the overlap {}", name, value,
                                     factor, r.tile_overlap)};
    if (r.tile_overlap % factor != 0)
        return Error{Code::invalid_argument, fmt::format("tile overlap {}: use a multiple of {}", r.tile_overlap, factor)};
    return {};
}

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
    if (!(r.variation_strength >= 0 && r.variation_strength <= 1))
        return wrong(fmt::format("variation strength {}: use 0 to 1", r.variation_strength));
    for (const auto& [name, value] : {std::pair{"seed width", r.seed_width}, std::pair{"seed height", r.seed_height}})
        if (value != 0 && (value % factor != 0 || value < 64 || value > 16384))
            return wrong(fmt::format("{} {}: use a multiple of {} from 64 to 16384, or 0", name, value, factor));
    PUMICE_TRY(check_hires(r, factor));
    PUMICE_TRY(check_tiles(r, factor));
    if (!(r.refiner_switch >= 0 && r.refiner_switch <= 1))
        return wrong(fmt::format("refiner switch {}: use 0 to 1", r.refiner_switch));
    if (edits(model.config()) && !r.picture.given())
        return wrong("this model edits pictures: give it one to begin with");
    if (r.refiner && r.refiner->config().unet.in_channels != model.config().vae.latent_channels)
        return wrong("the refiner is a model that inpaints or edits, which cannot take over");
    if (r.clip_skip < 1 || r.clip_skip > model.config().text[0].layers)
        return wrong(fmt::format("clip skip {}: the text encoder has {} layers, use 1 to {}", r.clip_skip,
                                 model.config().text[0].layers, model.config().text[0].layers));
    return {};
}

Result<PromptConditioning> Run::encode(Model& of) const {
    PUMICE_ASSIGN(auto conditioning,
                  PromptConditioning::encode(of,
                                             {.prompt = request.prompt,
                                              .negative_prompt = request.negative_prompt,
                                              .steps = request.steps * request.sampler->calls_per_step(),
                                              .clip_skip = request.clip_skip,
                                              .sizes = sizes(),
                                              .embeddings = request.embeddings,
                                              .emphasis = request.emphasis},
                                             control.cancel));
    if (!model.fits_at_once() || &of != &model) of.release_text_weights();
    return conditioning;
}

/// Mask and masked picture's latent side by side, padded to eight channels; see GuidanceOptions::extra.
std::vector<float> inpainting_channels(const std::vector<float>& mask, const std::vector<float>& latent) {
    const std::size_t pixels = latent.size() / 4;
    std::vector<float> values(pixels * 8, 0.0f);
    for (std::size_t i = 0; i < pixels; ++i) {
        values[8 * i] = mask.empty() ? 1.0f : mask[i];
        std::copy_n(latent.begin() + static_cast<std::ptrdiff_t>(4 * i), 4,
                    values.begin() + static_cast<std::ptrdiff_t>(8 * i + 1));
    }
    return values;
}

Result<Run::Start> Run::begin() {
    Start start;
    const bool inpainting = inpaints(model.config());
    if (!request.picture.given() && !inpainting) return start;
    const Stopwatch stage;
    const Shape shape = latent_shape();
    PictureInput picture = request.picture;
    if (!picture.given()) {  // an inpainting model without a picture: all of it is masked
        picture.image = make_pixels(request.width, request.height, 3);
        picture.mask = make_pixels(request.width, request.height, 1);
        std::fill(picture.mask.bytes.begin(), picture.mask.bytes.end(), std::uint8_t(255));
    }
    PUMICE_ASSIGN(const SourcePicture source, SourcePicture::prepare(picture, request.width, request.height));
    PUMICE_ASSIGN(const auto encoder, VaeEncoder::create(model, request.height, request.width, request.seamless));
    const auto scaled = [&](std::vector<float> latent) {
        for (float& v : latent) v = static_cast<float>(double(v) * model.config().vae.scaling_factor);
        return latent;
    };
    if (request.picture.given()) {
        PUMICE_ASSIGN(const auto mean, encoder->encode(source.image(), control.cancel));
        start.latent = scaled(mean);
        if (!source.mask().empty()) start.latent_mask = source.latent_mask(shape.h, shape.w);
        if (edits(model.config())) start.extra = mean;
        start.picture = source;
    }
    if (inpainting) {
        PUMICE_ASSIGN(const auto masked, encoder->encode(source.masked_image(), control.cancel));
        start.extra = inpainting_channels(start.latent_mask, scaled(masked));
    }
    const std::vector<float> one = start.extra;
    for (std::uint32_t i = 1; i < request.batch; ++i) start.extra.insert(start.extra.end(), one.begin(), one.end());
    if (encoder->fell_back()) result.notes.push_back("the VAE overflowed fp16; the picture was encoded in fp32");
    if (!model.fits_at_once()) model.release_vae_weights();
    result.encode_seconds += stage.seconds();
    return start;
}

Result<Run::Start> Run::begin_with(std::vector<float> latents) {
    PUMICE_ASSIGN(Start start, begin());
    if (!latents.empty()) start.latent = std::move(latents);
    return start;
}

/// One picture's latent for each of the batch, or each its own.
Result<Latent> Run::upload(GpuTensorMath& math, const std::vector<float>& nhwc) const {
    const Shape shape = latent_shape();
    const std::size_t pixels = shape.tokens(), own = nhwc.size() > pixels * shape.c ? 1 : 0;
    std::vector<float> nchw;
    for (std::uint32_t i = 0; i < shape.n; ++i)
        for (std::size_t c = 0; c < shape.c; ++c)
            for (std::size_t p = 0; p < pixels; ++p) nchw.push_back(nhwc[(own * i * pixels + p) * shape.c + c]);
    PUMICE_ASSIGN(Latent latent, math.create_latent());
    PUMICE_TRY(math.upload(latent, nchw));
    return latent;
}

/// x = picture + sigma * noise. `init` receives the picture's latent, and `kept`, with a mask, 1 where it is kept.
Status Run::start(const Start& begin, GpuTensorMath& math, const Latent& x, double first_sigma, Latent& init,
                  Latent& kept) {
    PUMICE_ASSIGN(init, upload(math, begin.latent));
    if (!begin.latent_mask.empty()) {
        std::vector<float> values;
        for (const float masked : begin.latent_mask) values.insert(values.end(), 4, 1 - masked);
        PUMICE_ASSIGN(kept, upload(math, values));
        const MaskFill fill = request.picture.fill;
        if (fill == MaskFill::noise || fill == MaskFill::nothing) {
            // Noise of generators of its own, as the reference: the steps' begin at their first draw.
            std::vector<float> nchw(latent_shape().elements(), 0.0f);
            if (fill == MaskFill::noise)
                PUMICE_TRY(draw_from(BatchNoise({.kind = request.rng, .seed = request.seed, .one_seed = noise().one_seed},
                                                request.batch),
                                     latent_shape())(nchw));
            PUMICE_ASSIGN(const Latent masked, math.create_latent());
            PUMICE_TRY(math.upload(masked, nchw));
            PUMICE_TRY(math.blend(init, init, masked, kept));
        }
    }
    PUMICE_TRY(math.noise(x));
    return math.combine(x, {{1, init}, {first_sigma, x}});
}

Status Run::prepare(Stage& stage, const Start& begin, GpuTensorMath& math) const {
    GuidanceOptions options{.scale = double(request.guidance_scale),
                            .image_scale = double(request.picture.image_scale),
                            .unconditional = request.sampler->unconditional(),
                            .method = request.guidance.get(),
                            .cancel = control.cancel,
                            .seamless = request.seamless};
    if (stage.model == &model) {
        options.extra = begin.extra;
        PUMICE_ASSIGN(stage.controls, ControlSet::create(model, request.controls, latent_shape(), control.cancel));
        options.controls = stage.controls.get();
    }
    PUMICE_ASSIGN(stage.denoiser, TiledDenoiser::create(*stage.model, math, latent_shape(), tiling(), std::move(options)));
    return {};
}

Status Run::set_conditioning(Stage& stage, std::uint32_t call, bool always) const {
    if (!always && !stage.prompts.starting_at(call)) return {};
    const PromptStep& step = stage.prompts.at(call);
    std::vector<GuidedPart> parts;
    for (const WeightedConditioning& c : step.cond)
        parts.push_back({std::vector<const Conditioning*>(request.batch, c.conditioning), c.weight});
    const std::vector<const Conditioning*> uncond(request.batch, step.uncond);
    return stage.denoiser->set_conditioning(parts, uncond);
}

/// After the model was first asked in a step.
Status Run::look(Watch& watch, GpuTensorMath& math, const Latent& denoised) {
    if (std::exchange(watch.seen, true)) return {};
    const std::uint32_t step = watch.done + 1;
    if (watch.preview && step % control.preview.every == 0) PUMICE_TRY(watch.preview->show(denoised, step, watch.steps));
    if (step >= watch.steps || !ends_early(earlier_steps + step)) return {};
    PUMICE_ASSIGN(watch.early, math.create_latent());
    PUMICE_TRY(math.combine(watch.early, {{1, denoised}}));
    result.stopped_at = earlier_steps + step;
    return Error{Code::cancelled, "ended early"};
}

Status Run::denoise(const Start& begin, std::vector<Stage>& stages, GpuTensorMath& math, const Latent& x,
                    std::span<const float> sigmas) {
    Latent init, kept;
    if (begin.latent.empty()) {
        PUMICE_TRY(math.noise(x));
        PUMICE_TRY(math.combine(x, {{request.sampler->initial_scale(sigmas), x}}));
    } else {
        PUMICE_TRY(start(begin, math, x, double(sigmas.front()), init, kept));
    }
    PUMICE_TRY(prepare(stages[0], begin, math));
    const SigmaTable table = sigma_table(model.config());
    std::uint32_t call = 0;
    const double calls = double(sigmas.size() - (sigmas.back() == 0 ? 1 : 0)) * request.sampler->calls_per_step();
    std::size_t at = 0;
    bool told = false;  // the stage's denoiser knows its conditioning
    Stopwatch step_clock;
    Watch watch{.steps = static_cast<std::uint32_t>(sigmas.size() - 1)};
    if (control.preview.show && control.preview.every > 0 && control.preview.every <= watch.steps) {
        PUMICE_ASSIGN(watch.preview, Previewer::create(model, math, latent_shape(), control.preview));
    }
    const auto ready = [&](double sigma) -> Status {
        if (cancelled()) return Error{Code::cancelled, "cancelled"};
        const double gone = (table.size() - 1 - table.sigma_to_t(sigma, TimestepRounding::nearest)) / table.size();
        if (at + 1 < stages.size() && gone > double(request.refiner_switch)) {
            stages[at++].denoiser.reset();
            if (!model.fits_at_once()) model.unet_weights().release();
            PUMICE_TRY(prepare(stages[at], begin, math));
            told = false;
        }
        PUMICE_TRY(stages[at].denoiser->set_progress(std::min(1.0, call / calls)));
        PUMICE_TRY(set_conditioning(stages[at], call++, !told));
        told = true;
        return {};
    };
    const auto keep = [&](const Latent& out) { return kept ? math.blend(out, init, out, kept) : Status{}; };
    const Denoise denoise = [&](const Latent& in, double sigma, const Latent& out) -> Status {
        PUMICE_TRY(ready(sigma));
        PUMICE_TRY(stages[at].denoiser->denoise(in, sigma, out));
        PUMICE_TRY(keep(out));
        return look(watch, math, out);
    };
    SamplerCall sampling{.math = math, .denoise = denoise, .sigmas = sigmas};
    sampling.denoise_uncond = [&](const Latent& in, double sigma, double scale, const Latent& out,
                                  const Latent& uncond) -> Status {
        PUMICE_TRY(ready(sigma));
        PUMICE_TRY(stages[at].denoiser->denoise_uncond(in, sigma, scale, out, uncond));
        PUMICE_TRY(keep(uncond));
        PUMICE_TRY(keep(out));
        return look(watch, math, out);
    };
    sampling.check = [&]() -> Status { return cancelled() ? Status(Error{Code::cancelled, "cancelled"}) : Status{}; };
    sampling.on_step = [&](std::uint32_t step, std::uint32_t steps) -> Status {
        result.step_seconds.push_back(step_clock.seconds());
        step_clock = {};
        report(Progress::Stage::step, step + 1, steps);
        watch.done = step + 1;
        watch.steps = steps;
        watch.seen = false;
        if (cancelled()) return Error{Code::cancelled, "cancelled"};
        return {};
    };
    const Status sampled = request.sampler->run(sampling, x);
    if (watch.early) {
        PUMICE_TRY(math.combine(x, {{1, watch.early}}));
    } else {
        PUMICE_TRY(sampled);
    }
    earlier_steps += watch.steps;
    result.unet_flops = stages[at].denoiser->flops();
    result.streamed = std::max(result.streamed, stages[at].denoiser->streamed());
    if (stages[at].denoiser->fell_back())
        result.notes.push_back("the UNet overflowed fp16; its steps from there on were done in fp32");
    return keep(x);
}

/// The batch's pictures, as the network made them.
Result<std::vector<Pixels>> Run::decode(GpuTensorMath& math, const Latent& x) {
    const Stopwatch stage;
    const Shape shape = latent_shape();
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(model, shape.h, shape.w, request.seamless));
    const BufferRange latents = math.range(x);
    const std::uint64_t bytes = decoder->input().size;
    std::vector<Pixels> pictures;
    for (std::uint32_t i = 0; i < request.batch; ++i) {
        PUMICE_TRY(copy_range(model.device(), {latents.buffer, latents.offset + i * bytes, bytes}, decoder->input()));
        PUMICE_TRY(decoder->run(control.cancel));
        pictures.push_back(make_pixels(request.width, request.height, 3));
        PUMICE_TRY(decoder->read_rgb(pictures.back().bytes));
        report(Progress::Stage::decode, i + 1, request.batch);
    }
    result.tiles = decoder->tiles();
    if (decoder->fell_back()) result.notes.push_back("the VAE overflowed fp16; the pictures were decoded in fp32");
    result.decode_seconds += stage.seconds();
    return pictures;
}

Result<std::vector<float>> Run::enlarge(GpuTensorMath& math, const Latent& x) {
    const HiresOptions& hires = request.hires;
    const std::uint32_t factor = model.config().vae.factor();
    if (!hires.upscale) {
        PUMICE_ASSIGN(const auto nchw, math.download(x));
        return enlarge_latents(nchw, latent_shape(), hires.height / factor, hires.width / factor);
    }
    PUMICE_ASSIGN(const std::vector<Pixels> small, decode(math, x));
    const Stopwatch stage;
    PUMICE_ASSIGN(const auto encoder, VaeEncoder::create(model, hires.height, hires.width));
    std::vector<float> latents;
    for (const Pixels& each : small) {
        if (cancelled()) return Error{Code::cancelled, "cancelled"};
        PUMICE_ASSIGN(const Pixels large, hires.upscale(each, hires.width, hires.height));
        PUMICE_ASSIGN(const auto mean, encoder->encode(large, control.cancel));
        for (const float v : mean)
            latents.push_back(static_cast<float>(double(v) * model.config().vae.scaling_factor));
    }
    if (encoder->fell_back()) result.notes.push_back("the VAE overflowed fp16; the picture was encoded in fp32");
    if (!model.fits_at_once()) model.release_vae_weights();
    result.encode_seconds += stage.seconds();
    return latents;
}

Result<TextToImageResult> Run::run_hires(std::vector<float> latents) {
    TextToImageRequest second = request;
    const HiresOptions& hires = request.hires;
    second.width = hires.width;
    second.height = hires.height;
    if (hires.steps > 0) second.steps = hires.steps;
    second.sampler = hires.sampler;
    second.controls = hires.controls;
    second.picture.strength = hires.strength;
    second.hires = {};
    Run run{model, second, control, std::move(result), clock, earlier_steps};
    return run.run(std::move(latents));
}

/// Increments of Brownian paths that lie over the levels of a whole run, of which a strength leaves out the first.
DrawBrownian whole_brownian(const NoiseOptions& noise, const Shape& shape, const std::vector<float>& levels) {
    double lowest = 0;
    for (const float level : levels)
        if (level > 0) lowest = double(level);
    return [draw = brownian_from(noise, shape), lowest, highest = double(levels.front())](
               std::span<float> out, double low, double high, double from, double to) {
        return draw(out, std::min(low, lowest), std::max(high, highest), from, to);
    };
}

Result<TextToImageResult> Run::run(std::vector<float> latents) {
    const Stopwatch text_stage;
    const bool second = !latents.empty();
    std::vector<Stage> stages;
    for (Model* each : {&model, request.hires.given() ? nullptr : request.refiner}) {
        if (!each) continue;
        PUMICE_ASSIGN(PromptConditioning prompts, encode(*each));
        stages.push_back({each, std::move(prompts)});
    }
    result.text_seconds += text_stage.seconds();
    report(Progress::Stage::text, request.batch, request.batch);
    PUMICE_ASSIGN(const Start begin, begin_with(std::move(latents)));

    const double strength = as_written(request.picture.strength);
    const std::uint32_t steps = second ? whole_steps(request.steps, strength) : request.steps;
    PUMICE_ASSIGN(const std::vector<float> levels, request.sampler->sigmas(sigma_table(model.config()), steps));
    const std::vector<float> sigmas = second                 ? last_sigmas(levels, request.steps - 1)
                                      : begin.latent.empty() ? levels
                                                             : sigmas_for_strength(levels, steps, strength);
    const Shape shape = latent_shape();
    const NoiseOptions noise = this->noise();
    PUMICE_ASSIGN(const auto math,
                  GpuTensorMath::create(model.device(), *model.kernels(), shape, model.precision(),
                                        draw_from(BatchNoise(noise, request.batch), shape),
                                        whole_brownian(noise, shape, levels)));
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    const Status denoised = denoise(begin, stages, *math, x, sigmas);
    stages.clear();  // their latents are of `math`, which goes before them
    PUMICE_TRY(denoised);
    if (!model.fits_at_once()) model.unet_weights().release();
    if (request.refiner && !request.hires.given()) request.refiner->unet_weights().release();
    if (request.hires.given() && result.stopped_at == 0 && ends_early(earlier_steps)) result.stopped_at = earlier_steps;
    if (request.hires.given() && result.stopped_at == 0) {
        PUMICE_ASSIGN(auto larger, enlarge(*math, x));
        return run_hires(std::move(larger));
    }
    PUMICE_ASSIGN(std::vector<Pixels> pictures, decode(*math, x));
    for (Pixels& made : pictures) {
        if (begin.picture) made = begin.picture->compose(std::move(made));
        result.images.push_back({made.width, made.height, std::move(made.bytes)});
    }
    if (!model.fits_at_once()) model.release_vae_weights();
    return std::move(result);
}

}  // namespace

Result<TextToImageResult> text_to_image(Model& model, const TextToImageRequest& request, const RequestControl& control) {
    PUMICE_TRY(check(request, model));
    model.begin_request();
    if (request.refiner) request.refiner->begin_request();
    Run run{model, request, control};
    return run.run();
}

}  // namespace pumice
