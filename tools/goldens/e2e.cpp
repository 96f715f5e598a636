#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <png.h>

#include "models/vae.hpp"
#include "network.hpp"
#include "ops/ops.hpp"
#include "pipelines/guided_denoiser.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "pipelines/source_picture.hpp"
#include "pipelines/vae_decoder.hpp"
#include "plugins/plugin_control.hpp"
#include "vulkan/command.hpp"

namespace pumice::goldens {
namespace {

constexpr double kLatentTolerance = 2e-3, kDecodedTolerance = 1e-3;
/// End to end, fp16 is held to a picture that looks the same: for 8-bit pictures 30 dB.
constexpr double kHalfPsnr = 30;

struct Case {
    Suite& suite;
    Model& model;
    std::string name;  ///< "e2e/sd1_ddim"
    nlohmann::json settings;

    Result<Npy<float>> npy(const std::string& what) const { return suite.npy(name + "." + what + ".npy"); }
    bool has(const std::string& what) const { return suite.exists(name + "." + what); }
};

/// Whether this version has all that a case asks for.
bool supported(const nlohmann::json& c, const std::vector<std::string>& samplers) {
    return std::find(samplers.begin(), samplers.end(), c.value("sampler", "")) != samplers.end();
}

/// Hands out stored draws one after the other, whether plain ones or increments of a Brownian path.
class Replay {
public:
    explicit Replay(Npy<float> draws) : state_(std::make_shared<State>(State{std::move(draws)})) {}
    DrawNoise noise() const {
        return [state = state_](std::span<float> out) { return state->next(out); };
    }
    DrawBrownian brownian() const {
        return [state = state_](std::span<float> out, double, double, double, double) { return state->next(out); };
    }

private:
    struct State {
        Npy<float> draws;
        std::size_t at = 0;
        Status next(std::span<float> out) {
            if (at + out.size() > draws.data.size()) return Error{Code::internal, "more noise drawn than stored"};
            std::copy_n(draws.data.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
            at += out.size();
            return {};
        }
    };
    std::shared_ptr<State> state_;
};

/// The data has the first entries of a schedule.
constexpr std::size_t kStoredEntries = 3;

/// `picture` of the batch has conditionings cond{picture}_{part of AND}_{entry} and uncond{picture}_{entry}.
Status compare_conditioning(const Case& c, const PromptConditioning& prompts, std::size_t picture) {
    const std::string of = std::to_string(picture);
    const auto check = [&](const std::vector<const Conditioning*>& entries, const std::string& what) -> Status {
        const Conditioning* last = nullptr;
        std::size_t index = 0;
        for (const Conditioning* now : entries) {
            if (now == last) continue;
            last = now;
            if (index == kStoredEntries) break;
            const std::string file = what + std::to_string(index++);
            PUMICE_ASSIGN(const auto expected, c.npy(file));
            c.suite.compare_network(c.name + "." + file, now->values, expected.data);
        }
        return {};
    };
    std::vector<const Conditioning*> unconds;
    for (const PromptStep& step : prompts.steps()) unconds.push_back(step.uncond);
    PUMICE_TRY(check(unconds, "uncond" + of + "_"));
    for (std::size_t part = 0; part < prompts.steps()[0].cond.size(); ++part) {
        std::vector<const Conditioning*> conds;
        for (const PromptStep& step : prompts.steps()) conds.push_back(step.cond[part].conditioning);
        PUMICE_TRY(check(conds, "cond" + of + "_" + std::to_string(part) + "_"));
    }
    if (!c.has("y_cond.npy")) return {};
    PUMICE_ASSIGN(const auto y_cond, c.npy("y_cond"));
    PUMICE_ASSIGN(const auto y_uncond, c.npy("y_uncond"));
    const PromptStep& first = prompts.steps()[0];
    c.suite.compare_network(c.name + ".y_cond", first.cond[0].conditioning->vector, y_cond.data);
    c.suite.compare_network(c.name + ".y_uncond", first.uncond->vector, y_uncond.data);
    return {};
}

/// What the denoiser is told from a call on; every picture's prompt has as many parts.
Status set_conditioning(GuidedDenoiser& denoiser, const std::vector<PromptConditioning>& prompts, std::uint32_t call) {
    if (std::none_of(prompts.begin(), prompts.end(), [&](const auto& p) { return p.starting_at(call) != nullptr; }))
        return {};
    std::vector<GuidedPart> parts(prompts[0].at(call).cond.size());
    std::vector<const Conditioning*> uncond;
    for (const PromptConditioning& p : prompts) {
        const PromptStep& step = p.at(call);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            parts[i].pictures.push_back(step.cond[i].conditioning);
            parts[i].weight = step.cond[i].weight;
        }
        uncond.push_back(step.uncond);
    }
    return denoiser.set_conditioning(parts, uncond);
}

double psnr(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) squares += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    return squares == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / squares);
}

/// Decodes the first of a batch's latents; `rgb` and `picture` ({h, w, 3}) receive the result.
Status decode(const Case& c, GpuTensorMath& math, const Latent& x, const Shape& shape, std::vector<std::uint8_t>& rgb,
              std::vector<float>& picture) {
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(c.model, shape.h, shape.w));
    const BufferRange& first = math.range(x);
    PUMICE_TRY(copy_range(c.model.device(), {first.buffer, first.offset, decoder->input().size}, decoder->input()));
    PUMICE_TRY(decoder->run());
    rgb.resize(std::size_t(3) * 64 * shape.h * shape.w);
    picture.resize(rgb.size());
    PUMICE_TRY(decoder->read_rgb(rgb));
    return decoder->read_float(picture);
}

Result<std::vector<std::uint8_t>> read_png(const std::filesystem::path& file) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, file.c_str())) return Error{Code::bad_format, image.message};
    image.format = PNG_FORMAT_RGB;
    std::vector<std::uint8_t> rgb(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr)) return Error{Code::bad_format, image.message};
    return rgb;
}

Status compare_picture(const Case& c, GpuTensorMath& math, const Latent& x, const Shape& shape,
                       const std::vector<float>& expected_latent) {
    std::vector<std::uint8_t> rgb;
    std::vector<float> picture;
    PUMICE_TRY(decode(c, math, x, shape, rgb, picture));
    if (c.suite.options().precision == Precision::fp16) {
        PUMICE_TRY(math.upload(x, expected_latent));
        std::vector<std::uint8_t> reference;
        PUMICE_TRY(decode(c, math, x, shape, reference, picture));
        const double db = psnr(rgb, reference);
        // Reported as what is missing to the bound, so that smaller is better as in every line.
        c.suite.report(c.name + ".picture", std::max(0.0, kHalfPsnr - db), 0, "(" + std::to_string(db) + " dB)");
        return {};
    }
    if (c.has("decoded.npy")) {
        PUMICE_ASSIGN(const auto expected, c.npy("decoded"));
        const Shape full{1, 8 * shape.h, 8 * shape.w, 3};
        c.suite.compare(c.name + ".decoded", nchw(picture, full, 3), expected.data, {kDecodedTolerance, 0});
    }
    if (c.has("image0.png")) {
        PUMICE_ASSIGN(const auto expected, read_png(c.suite.path(c.name + ".image0.png")));
        int largest = expected.size() == rgb.size() ? 0 : 256;
        for (std::size_t i = 0; i < rgb.size() && largest < 256; ++i)
            largest = std::max(largest, std::abs(int(rgb[i]) - int(expected[i])));
        c.suite.report(c.name + ".image0", largest, 1);
    }
    return {};
}

/// The picture that a case begins with, encoded: {1, 4, h, w}, scaled.
Result<std::vector<float>> init_latent(const Case& c) {
    PUMICE_ASSIGN(const auto image, c.npy("init_img"));
    PUMICE_ASSIGN(const auto expected, c.npy("init_latent"));
    Network network(c.model.device(), c.model.kernels(), c.suite.options().precision);
    Graph& g = network.graph();
    const std::vector<float> pixels = nhwc(image);
    const TensorId moments = vae_encode(g, c.model.vae_weights(),
                                        ops::cast(g, network.input(nhwc_shape(image), pixels), g.activation()));
    const TensorId mean = ops::slice_channels(g, moments, 0, 4);
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(c.model.vae_weights().flush());
    PUMICE_TRY(network.run(std::array{mean}));
    PUMICE_ASSIGN(const auto values, network.read(mean));
    std::vector<float> latent = nchw(values, g.shape(mean), 4);
    for (float& v : latent) v = static_cast<float>(double(v) * c.model.config().vae.scaling_factor);
    c.suite.compare_network(c.name + ".init_latent", latent, expected.data);
    return latent;
}

/// What img2img adds to a run: where it begins, and what it is held to.
struct Begin {
    Latent init, kept;  ///< empty without a picture, without a mask

    static Result<Begin> make(const Case& c, GpuTensorMath& math) {
        Begin begin;
        if (!c.has("init_img.npy")) return begin;
        PUMICE_ASSIGN(const auto latent, init_latent(c));
        PUMICE_ASSIGN(begin.init, math.create_latent());
        PUMICE_TRY(math.upload(begin.init, latent));
        if (!c.has("latent_mask.npy")) return begin;
        PUMICE_ASSIGN(const auto mask, c.npy("latent_mask"));
        std::vector<float> kept;
        for (int channel = 0; channel < 4; ++channel)
            for (const float painted : mask.data) kept.push_back(1 - painted);
        PUMICE_ASSIGN(begin.kept, math.create_latent());
        PUMICE_TRY(math.upload(begin.kept, kept));
        return begin;
    }
    Status hold(GpuTensorMath& math, const Latent& x) const { return kept ? math.blend(x, init, x, kept) : Status{}; }
};

Status run_case(const Case& c) {
    const nlohmann::json& s = c.settings;
    PUMICE_ASSIGN(auto noises, c.npy("noise"));
    PUMICE_ASSIGN(const auto expected, c.npy("latent"));
    PUMICE_ASSIGN(const auto stored_sigmas, c.npy("sigmas"));
    const auto pictures = static_cast<std::uint32_t>(s["prompt"].size());
    const Shape shape{pictures, s["size"][0], s["size"][1], 4};
    const auto steps = s["steps"].get<std::uint32_t>();
    PUMICE_ASSIGN(const auto plugins, c.suite.plugins(s["model"]));
    const std::string schedule = s["schedule"];
    PUMICE_ASSIGN(const auto sampler, plugins->make_sampler(s["sampler"].get<std::string>(),
                                                            schedule == "timesteps" ? "normal" : schedule, {}, {}));
    PUMICE_ASSIGN(auto sigmas, sampler->sigmas(sigma_table(c.model.config()), steps));
    if (s.contains("strength")) sigmas = sigmas_for_strength(sigmas, steps, s["strength"]);

    std::vector<PromptConditioning> prompts;
    const auto height = static_cast<float>(8 * shape.h), width = static_cast<float>(8 * shape.w);
    for (std::size_t i = 0; i < pictures; ++i) {
        PUMICE_ASSIGN(auto encoded, PromptConditioning::encode(c.model, {.prompt = s["prompt"][i],
                                                                         .negative_prompt = s["neg"][i],
                                                                         .steps = steps * sampler->calls_per_step(),
                                                                         .clip_skip = s.value("clip_skip", 1u),
                                                                         .sizes = {.original_height = height,
                                                                                   .original_width = width,
                                                                                   .target_height = height,
                                                                                   .target_width = width}}));
        PUMICE_TRY(compare_conditioning(c, encoded, i));
        prompts.push_back(std::move(encoded));
    }
    if (schedule != "timesteps")  // those files hold time steps
        c.suite.compare(c.name + ".sigmas", sigmas, stored_sigmas.data, {0, 1e-5});

    const Replay replay(std::move(noises));
    PUMICE_ASSIGN(const auto math, GpuTensorMath::create(c.model.device(), *c.model.kernels(), shape,
                                                         c.suite.options().precision, replay.noise(), replay.brownian()));
    std::vector<Control> controls;
    if (s.contains("control")) {
        PUMICE_ASSIGN(const auto hint, c.npy("hint"));
        Control& control = controls.emplace_back();
        control.picture = nhwc(hint);
        control.weight = s["control"];
        const plugins::ControlModel model{.path = c.suite.path("control/controlnet_tiny.safetensors").string(),
                                          .unet = c.model.config().unet};
        PUMICE_ASSIGN(control.network,
                      plugins::open_control(*plugins, "", model,
                                            {.device = c.model.device(), .kernels = c.model.kernels(),
                                             .precision = c.suite.options().precision},
                                            {}));
    }
    PUMICE_ASSIGN(const auto control_set, ControlSet::create(c.model, std::move(controls), shape));
    const auto rounding = s.value("t", "") == "nearest" ? TimestepRounding::nearest : TimestepRounding::interpolated;
    PUMICE_ASSIGN(const auto denoiser,
                  GuidedDenoiser::create(c.model, *math, shape,
                                         {.scale = s["cfg"], .controls = control_set.get(), .rounding = rounding}));
    PUMICE_ASSIGN(const Begin begin, Begin::make(c, *math));
    std::uint32_t call = 0;
    const Denoise denoise = [&](const Latent& in, double sigma, const Latent& out) -> Status {
        PUMICE_TRY(set_conditioning(*denoiser, prompts, call++));
        PUMICE_TRY(denoiser->denoise(in, sigma, out));
        return begin.hold(*math, out);
    };
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    PUMICE_TRY(math->noise(x));
    if (begin.init) PUMICE_TRY(math->combine(x, {{1, begin.init}, {double(sigmas[0]), x}}));
    else PUMICE_TRY(math->combine(x, {{sampler->initial_scale(sigmas), x}}));
    PUMICE_TRY(sampler->run({.math = *math, .denoise = denoise, .sigmas = sigmas}, x));
    PUMICE_TRY(begin.hold(*math, x));
    c.suite.exact(c.name + ".model_calls", call == s["model_calls"].get<std::uint32_t>(), std::to_string(call));
    if (c.suite.options().precision != Precision::fp16) {
        PUMICE_ASSIGN(const auto latent, math->download(x));
        c.suite.compare(c.name + ".latent", latent, expected.data, {kLatentTolerance, 0});
    }
    return compare_picture(c, *math, x, shape, expected.data);
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto cases, suite.json("e2e/e2e.json"));
    suite.helper("e2e/e2e");
    PUMICE_ASSIGN(const auto plugins, suite.plugins());
    std::map<std::string, std::unique_ptr<Model>> models;
    for (const auto& settings : cases) {
        const std::string name = "e2e/" + settings.value("id", "");
        if (!supported(settings, plugins->sampler_names()) || !suite.wanted(name)) continue;
        const std::string family = settings["model"];
        if (!suite.exists(family + "/" + family + "_tiny.safetensors")) continue;
        auto& model = models[family];
        if (!model) {
            PUMICE_ASSIGN(const auto device, suite.device());
            PUMICE_ASSIGN(const auto kernels, suite.kernels());
            PUMICE_ASSIGN(model, Model::load(device, kernels, suite.path(family + "/" + family + "_tiny.safetensors"),
                                             {.precision = suite.options().precision}));
        }
        suite.run(name, [&] { return run_case({suite, *model, name, settings}); });
    }
    return {};
}

}  // namespace

void e2e_cases(Suite& suite) {
    if (suite.exists("e2e/e2e.json")) suite.run("e2e", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
