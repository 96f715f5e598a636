#include "bench/engine/session.hpp"

#include <cmath>

#include <fmt/format.h>

#include "pipelines/control_picture.hpp"
#include "pipelines/unet_denoiser.hpp"
#include "pipelines/vae_decoder.hpp"
#include "plugins/plugin_control.hpp"
#include "vulkan/command.hpp"

namespace pumice::bench {
namespace {

constexpr const char* kPrompt = "a lighthouse at sunset";
constexpr double kGuidance = 7;

/// Numbers from -1.7 to 1.7 of variance 1, the same everywhere (splitmix64, see models/random_weights.cpp).
std::vector<float> noise(std::size_t count) {
    std::vector<float> values(count);
    std::uint64_t state = 1;
    for (float& value : values) {
        std::uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        value = (static_cast<float>((z ^ (z >> 31)) >> 40) / 16777216.0f - 0.5f) * 3.46f;
    }
    return values;
}

/// A picture of a disc before stripes, in colours or as edges.
Pixels drawn(std::uint32_t width, std::uint32_t height, bool edges) {
    Pixels picture = make_pixels(width, height, 3);
    const double radius = std::min(width, height) * 0.3;
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x) {
            const double dx = x - width * 0.5, dy = y - height * 0.5, from = dx * dx + dy * dy - radius * radius;
            const bool inside = from < 0, edge = std::fabs(from) < 2 * radius || (!inside && y % (height / 4) == 0);
            std::uint8_t* const rgb = picture.at(x, y);
            for (std::uint32_t c = 0; c < 3; ++c)
                rgb[c] = static_cast<std::uint8_t>(edges    ? (edge ? 255 : 0)
                                                   : inside ? 230 - 60 * c
                                                            : 40 * c + 120 * y / height);
        }
    return picture;
}

Status write_floats(const std::shared_ptr<Device>& device, const BufferRange& range, const std::vector<float>& values) {
    return write_range(device, range, std::as_bytes(std::span(values)));
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const pumice_engine_options& options, const std::filesystem::path& model,
                                               const std::filesystem::path& control, Precision precision,
                                               const std::atomic<bool>* cancel) {
    std::unique_ptr<Session> made(new Session);
    PUMICE_ASSIGN(made->engine_, open_engine(options));
    made->model_file_ = model;
    made->control_ = control;
    made->cancel_ = cancel;
    PUMICE_ASSIGN(made->model_, Model::load(made->engine_->device, made->engine_->kernels, model, {precision, 0}));
    return made;
}

Result<std::unique_ptr<Session>> Session::in(Precision precision) const {
    std::unique_ptr<Session> made(new Session);
    made->engine_ = engine_;
    made->model_file_ = model_file_;
    made->control_ = control_;
    made->cancel_ = cancel_;
    PUMICE_ASSIGN(made->model_, Model::load(engine_->device, engine_->kernels, model_file_, {precision, 0}));
    return made;
}

Result<Output> Session::run(const Profile& profile) {
    if (profile.kind == Kind::text) return text();
    return profile.kind == Kind::decode ? decode(profile) : picture(profile);
}

Result<Output> Session::text() {
    PromptRequest request;
    request.prompt = kPrompt;
    PUMICE_ASSIGN(const auto encoded, PromptConditioning::encode(*model_, request, cancel_));
    return Output{{}, encoded.at(0).cond.front().conditioning->values, {}};
}

Result<Control> Session::control(const Profile& profile) const {
    const Pixels edges = drawn(profile.width, profile.height, true);
    Control control;
    PUMICE_ASSIGN(control.picture, fit_control_picture(edges.bytes, edges.width, edges.height, profile.width,
                                                       profile.height, FitMode::crop));
    PUMICE_ASSIGN(control.network,
                  plugins::open_control(*engine_->plugins, "",
                                        {.path = control_.string(),
                                         .family = family_group(model_->config().family),
                                         .unet = model_->config().unet},
                                        {engine_->device, engine_->kernels, model_->precision(), cancel_}, engine_->log));
    return control;
}

Result<Output> Session::picture(const Profile& profile) {
    TextToImageRequest request;
    request.prompt = kPrompt;
    request.width = profile.width;
    request.height = profile.height;
    request.steps = profile.steps;
    request.batch = profile.batch;
    request.guidance_scale = static_cast<float>(kGuidance);
    request.seed = 1;
    PUMICE_ASSIGN(auto sampler, engine_->plugins->make_sampler("euler", "karras", {}, engine_->log,
                                                               family_group(model_->config().family)));
    request.sampler = std::move(sampler);
    if (profile.kind == Kind::from_picture) {
        request.picture.image = drawn(profile.width, profile.height, false);
        request.picture.strength = 0.5f;
    }
    if (profile.kind == Kind::control) {
        PUMICE_ASSIGN(auto control, this->control(profile));
        request.controls.push_back(std::move(control));
    }
    RequestControl control;
    control.cancel = cancel_;
    PUMICE_ASSIGN(TextToImageResult result, text_to_image(*model_, request, control));
    Output output;
    for (Image& image : result.images) output.pictures.push_back(std::move(image.rgb));
    output.notes = std::move(result.notes);
    return output;
}

Result<Output> Session::decode(const Profile& profile) {
    const std::uint32_t factor = model_->config().vae.factor(), h = profile.height / factor, w = profile.width / factor;
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(*model_, h, w));
    PUMICE_TRY(write_floats(engine_->device, decoder->input(), noise(std::size_t(h) * w * 4)));
    PUMICE_TRY(decoder->run(cancel_));
    Output output;
    output.pictures.emplace_back(std::size_t(3) * profile.width * profile.height);
    PUMICE_TRY(decoder->read_rgb(output.pictures.back()));
    if (decoder->fell_back()) output.notes.push_back("the VAE overflowed fp16; the picture was decoded in fp32");
    return output;
}

Result<std::vector<float>> Session::unet_once(const Profile& profile) {
    const std::uint32_t factor = model_->config().vae.factor(), h = profile.height / factor, w = profile.width / factor;
    const std::uint64_t bytes = std::uint64_t(h) * w * 4 * sizeof(float);
    PUMICE_ASSIGN(const BufferRange x, make_range(*engine_->device, bytes, Intent::device, "x"));
    PUMICE_ASSIGN(const BufferRange denoised, make_range(*engine_->device, bytes, Intent::device, "denoised"));
    const auto side_width = static_cast<float>(profile.width), side_height = static_cast<float>(profile.height);
    PromptRequest request;
    request.prompt = kPrompt;
    request.sizes = {.original_height = side_height, .original_width = side_width, .target_height = side_height,
                     .target_width = side_width};
    PUMICE_ASSIGN(const auto prompts, PromptConditioning::encode(*model_, request, cancel_));
    const Conditioning& uncond = *prompts.at(0).uncond;
    const Conditioning& cond = *prompts.at(0).cond.front().conditioning;
    PUMICE_ASSIGN(const auto unet, UnetDenoiser::create(*model_, x, denoised,
                                                        {.height = h, .width = w, .context_tokens = cond.tokens}));
    const auto both = [](std::vector<float> a, const std::vector<float>& b) {
        a.insert(a.end(), b.begin(), b.end());
        return a;
    };
    PUMICE_TRY(unet->set_context(both(uncond.values, cond.values)));
    PUMICE_TRY(unet->set_vector(both(uncond.vector, cond.vector)));
    PUMICE_TRY(write_floats(engine_->device, x, noise(bytes / sizeof(float))));
    // The prediction itself, halfway.
    PUMICE_TRY(unet->run({.c_in = 1, .c_skip = 0, .c_out = 1, .timestep = 500, .guidance_scale = 1}, cancel_));
    std::vector<float> values(bytes / sizeof(float));
    PUMICE_TRY(read_range(engine_->device, denoised, std::as_writable_bytes(std::span(values))));
    return values;
}

Result<std::vector<float>> Session::vae_once(const Profile& profile) {
    const std::uint32_t factor = model_->config().vae.factor(), h = profile.height / factor, w = profile.width / factor;
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(*model_, h, w));
    PUMICE_TRY(write_floats(engine_->device, decoder->input(), noise(std::size_t(h) * w * 4)));
    PUMICE_TRY(decoder->run(cancel_));
    std::vector<float> values(std::size_t(3) * profile.width * profile.height);
    PUMICE_TRY(decoder->read_float(values));
    return values;
}

Result<std::map<std::string, std::vector<float>>> Session::stages(const Profile& profile) {
    std::map<std::string, std::vector<float>> made;
    if (profile.kind == Kind::text) {
        PUMICE_ASSIGN(Output output, text());
        made["text"] = std::move(output.values);
        return made;
    }
    if (profile.kind != Kind::decode && model_->config().unet.in_channels == 4) {
        PUMICE_ASSIGN(made["unet"], unet_once(profile));
        if (!model_->fits_at_once()) model_->unet_weights().release();
    }
    PUMICE_ASSIGN(made["vae"], vae_once(profile));
    if (!model_->fits_at_once()) model_->release_vae_weights();
    return made;
}

}  // namespace pumice::bench
