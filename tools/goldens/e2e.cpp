#include <algorithm>
#include <cmath>
#include <vector>

#include <png.h>

#include "network.hpp"
#include "pipelines/guided_denoiser.hpp"
#include "pipelines/prompt_conditioning.hpp"
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
    if (c.value("model", "") != "sd1" ||
        std::find(samplers.begin(), samplers.end(), c.value("sampler", "")) == samplers.end())
        return false;
    for (const char* key : {"strength", "mask"})
        if (c.contains(key)) return false;
    return c["prompt"].size() == 1 && c["prompt"][0].get<std::string>().find(" AND ") == std::string::npos;
}

/// Hands out stored draws one after the other.
DrawNoise replay(Npy<float> draws) {
    return [draws = std::move(draws), at = std::size_t(0)](std::span<float> out) mutable -> Status {
        if (at + out.size() > draws.data.size()) return Error{Code::internal, "more noise drawn than stored"};
        std::copy_n(draws.data.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
        at += out.size();
        return {};
    };
}

Status compare_conditioning(const Case& c, const PromptConditioning& prompts) {
    std::size_t cond = 0, uncond = 0;
    const Conditioning *last_cond = nullptr, *last_uncond = nullptr;
    for (const PromptStep& step : prompts.steps()) {
        const auto check = [&](const Conditioning* now, const Conditioning*& last, const std::string& what,
                               std::size_t& index) -> Status {
            if (now == last) return {};
            last = now;
            const std::string file = what + std::to_string(index++);
            PUMICE_ASSIGN(const auto expected, c.npy(file));
            c.suite.compare_network(c.name + "." + file, now->values, expected.data);
            return {};
        };
        PUMICE_TRY(check(step.cond, last_cond, "cond0_0_", cond));
        PUMICE_TRY(check(step.uncond, last_uncond, "uncond0_", uncond));
    }
    return {};
}

double psnr(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) squares += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    return squares == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / squares);
}

/// Decodes a {1, 4, h, w} latent; `rgb` and `picture` ({h, w, 3}) receive the result.
Status decode(const Case& c, GpuTensorMath& math, const Latent& x, const Shape& shape, std::vector<std::uint8_t>& rgb,
              std::vector<float>& picture) {
    PUMICE_ASSIGN(const auto decoder, VaeDecoder::create(c.model, shape.h, shape.w));
    PUMICE_TRY(copy_range(c.model.device(), math.range(x), decoder->input()));
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

Status run_case(const Case& c) {
    const nlohmann::json& s = c.settings;
    PUMICE_ASSIGN(auto noises, c.npy("noise"));
    PUMICE_ASSIGN(const auto expected, c.npy("latent"));
    PUMICE_ASSIGN(const auto stored_sigmas, c.npy("sigmas"));
    const Shape shape{1, s["size"][0], s["size"][1], 4};
    const auto steps = s["steps"].get<std::uint32_t>();

    PUMICE_ASSIGN(const auto prompts, PromptConditioning::encode(c.model, s["prompt"][0], s["neg"][0], steps,
                                                                 s.value("clip_skip", 1u)));
    PUMICE_TRY(compare_conditioning(c, prompts));

    PUMICE_ASSIGN(const auto plugins, c.suite.plugins());
    const std::string schedule = s["schedule"];
    PUMICE_ASSIGN(const auto sampler, plugins->make_sampler(s["sampler"].get<std::string>(),
                                                            schedule == "timesteps" ? "normal" : schedule, {}, {}));
    PUMICE_ASSIGN(const auto sigmas, sampler->sigmas(SigmaTable::scaled_linear(), steps));
    if (schedule != "timesteps")  // those files hold time steps
        c.suite.compare(c.name + ".sigmas", sigmas, stored_sigmas.data, {0, 1e-5});

    PUMICE_ASSIGN(const auto math, GpuTensorMath::create(c.model.device(), *c.model.kernels(), shape,
                                                         c.suite.options().precision, replay(std::move(noises))));
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
                  GuidedDenoiser::create(c.model, *math, shape, {.scale = s["cfg"], .controls = control_set.get(), .rounding = rounding}));
    std::uint32_t call = 0;
    const Denoise denoise = [&](const Latent& in, double sigma, const Latent& out) -> Status {
        if (const PromptStep* step = prompts.starting_at(call++))
            PUMICE_TRY(denoiser->set_conditioning(std::array{step->cond}, std::array{step->uncond}));
        return denoiser->denoise(in, sigma, out);
    };
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    PUMICE_TRY(math->noise(x));
    PUMICE_TRY(math->combine(x, {{sampler->initial_scale(sigmas), x}}));
    PUMICE_TRY(sampler->run({.math = *math, .denoise = denoise, .sigmas = sigmas}, x));
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
    std::unique_ptr<Model> model;
    for (const auto& settings : cases) {
        const std::string name = "e2e/" + settings.value("id", "");
        if (!supported(settings, plugins->sampler_names()) || !suite.wanted(name)) continue;
        if (!model) {
            PUMICE_ASSIGN(const auto device, suite.device());
            PUMICE_ASSIGN(const auto kernels, suite.kernels());
            PUMICE_ASSIGN(model, Model::load(device, kernels, suite.path("sd1/sd1_tiny.safetensors"),
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
