#include "pipelines/preview.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "pipelines/vae_encoder.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

/// Published for RGB from -1 to 1.
constexpr std::array<std::array<double, 3>, 4> kSd{
    {{0.3512, 0.2297, 0.3227}, {0.3250, 0.4974, 0.2350}, {-0.2829, 0.1762, 0.2721}, {-0.2120, -0.2616, -0.7177}}};
constexpr std::array<std::array<double, 3>, 4> kXl{
    {{0.3920, 0.4054, 0.4549}, {-0.2634, -0.0196, 0.0653}, {0.0568, 0.1687, -0.0755}, {-0.3112, -0.2359, -0.2076}}};

LatentColours published(const std::array<std::array<double, 3>, 4>& factors) {
    LatentColours colours;
    for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t c = 0; c < 3; ++c) colours.weights[i][c] = factors[i][c] / 2;
    return colours;
}

/// Smooth between four times four colours: the corners of the cube and what lies between.
Pixels colour_chart(std::uint32_t side) {
    constexpr std::array<std::array<int, 3>, 16> kColours{{{0, 0, 0},       {255, 0, 0},     {0, 255, 0},     {0, 0, 255},
                                                           {255, 255, 255}, {0, 255, 255},   {255, 0, 255},   {255, 255, 0},
                                                           {128, 128, 128}, {200, 120, 60},  {60, 120, 200},  {120, 200, 60},
                                                           {40, 40, 60},    {220, 200, 180}, {90, 60, 120},   {180, 220, 230}}};
    Pixels chart = make_pixels(side, side, 3);
    for (std::uint32_t y = 0; y < side; ++y)
        for (std::uint32_t x = 0; x < side; ++x) {
            const double v = std::min(3.0, 3.999 * y / side), u = std::min(3.0, 3.999 * x / side);
            const auto row = std::min<std::size_t>(2, static_cast<std::size_t>(v)),
                       column = std::min<std::size_t>(2, static_cast<std::size_t>(u));
            for (std::size_t c = 0; c < 3; ++c) {
                const auto at = [&](std::size_t r, std::size_t k) { return double(kColours[4 * r + k][c]); };
                const double share = u - double(column), down = v - double(row);
                const double top = at(row, column) * (1 - share) + at(row, column + 1) * share;
                const double bottom = at(row + 1, column) * (1 - share) + at(row + 1, column + 1) * share;
                chart.at(x, y)[c] = static_cast<std::uint8_t>(top * (1 - down) + bottom * down + 0.5);
            }
        }
    return chart;
}

std::uint8_t to_byte(double v) {
    return static_cast<std::uint8_t>(std::clamp(v, 0.0, 1.0) * 255 + 0.5);
}

}  // namespace

LatentColours fit_colours(const std::vector<float>& latents, const std::vector<float>& rgb) {
    constexpr std::size_t kTerms = 5;
    std::array<std::array<double, kTerms + 3>, kTerms> rows{};  // normal equations, and their right sides
    for (std::size_t p = 0; p < rgb.size() / 3; ++p) {
        std::array<double, kTerms> terms{1, 1, 1, 1, 1};
        for (std::size_t i = 0; i < 4; ++i) terms[i] = double(latents[4 * p + i]);
        for (std::size_t i = 0; i < kTerms; ++i) {
            for (std::size_t j = 0; j < kTerms; ++j) rows[i][j] += terms[i] * terms[j];
            for (std::size_t c = 0; c < 3; ++c) rows[i][kTerms + c] += terms[i] * double(rgb[3 * p + c]);
        }
    }
    // So little that channels which say nothing get no weight instead of no answer.
    double trace = 0;
    for (std::size_t i = 0; i < 4; ++i) trace += rows[i][i];
    for (std::size_t i = 0; i < 4; ++i) rows[i][i] += 1e-6 * trace + 1e-12;
    for (std::size_t k = 0; k < kTerms; ++k)  // Gauss and Jordan; positive definite, so the diagonal will do
        for (std::size_t i = 0; i < kTerms; ++i) {
            if (i == k) continue;
            const double factor = rows[i][k] / rows[k][k];
            for (std::size_t j = k; j < kTerms + 3; ++j) rows[i][j] -= factor * rows[k][j];
        }
    LatentColours colours;
    for (std::size_t c = 0; c < 3; ++c) {
        for (std::size_t i = 0; i < 4; ++i) colours.weights[i][c] = rows[i][kTerms + c] / rows[i][i];
        colours.bias[c] = rows[4][kTerms + c] / rows[4][4];
    }
    return colours;
}

Pixels colour_latent(const LatentColours& colours, std::span<const float> nhwc, std::uint32_t height,
                     std::uint32_t width) {
    Pixels made = make_pixels(width, height, 3);
    for (std::size_t p = 0; p < std::size_t(height) * width; ++p)
        for (std::size_t c = 0; c < 3; ++c) {
            double v = colours.bias[c];
            for (std::size_t i = 0; i < 4; ++i) v += colours.weights[i][c] * double(nhwc[4 * p + i]);
            made.bytes[3 * p + c] = to_byte(v);
        }
    return made;
}

Result<std::unique_ptr<Previewer>> Previewer::create(Model& model, GpuTensorMath& math, const Shape& latents,
                                                     const PreviewOptions& options) {
    std::unique_ptr<Previewer> made(new Previewer(model, math, latents, options));
    if (options.method == PreviewMethod::taesd) {
        PUMICE_TRY(made->use_tiny());
        return made;
    }
    PUMICE_ASSIGN(made->colours_, made->colours());
    return made;
}

Status Previewer::use_tiny() {
    Model::TinyVae* tiny = model_.tiny_decoder();
    if (!options_.tiny_file.empty()) {
        PUMICE_ASSIGN(file_, WeightFile::open(options_.tiny_file));
        const auto half = find_taesd_decoder(*file_);
        if (!half || half->latent_channels != shape_.c)
            return Error{Code::bad_format, fmt::format("{}: it has no decoder of the tiny autoencoder (TAESD), which "
                                                       "previews are made with",
                                                       file_->path())};
        tiny_.emplace(Model::TinyVae{*half, WeightSet(model_.device(), model_.kernels(), *file_, half->prefix)});
        tiny = &*tiny_;
    }
    if (!tiny)
        return Error{Code::invalid_argument, "previews by TAESD need its file, or one in place of the model's VAE"};
    PUMICE_ASSIGN(decoder_, VaeDecoder::create(model_, shape_.h, shape_.w, {}, tiny));
    return {};
}

Result<LatentColours> Previewer::colours() {
    const VaeConfig& vae = model_.config().vae;
    if (vae.channels == 128 && vae.mid_channels == 512 && vae.factor() == 8)
        return published(std::string_view(family_group(model_.config().family)) == "sdxl" ? kXl : kSd);
    constexpr std::uint32_t kSide = 64;
    const std::uint32_t factor = vae.factor(), small = kSide / factor;
    const Pixels chart = colour_chart(kSide);
    PUMICE_ASSIGN(const auto encoder, VaeEncoder::create(model_, kSide, kSide));
    PUMICE_ASSIGN(std::vector<float> latents, encoder->encode(chart, nullptr));
    for (float& v : latents) v = static_cast<float>(double(v) * vae.scaling_factor);
    std::vector<float> rgb;
    for (std::uint32_t y = 0; y < small; ++y)
        for (std::uint32_t x = 0; x < small; ++x)
            for (std::size_t c = 0; c < 3; ++c) {
                double sum = 0;
                for (std::uint32_t i = 0; i < factor * factor; ++i)
                    sum += chart.at(x * factor + i % factor, y * factor + i / factor)[c];
                rgb.push_back(static_cast<float>(sum / (255.0 * factor * factor)));
            }
    if (!model_.fits_at_once()) model_.release_vae_weights();
    return fit_colours(latents, rgb);
}

Result<Pixels> Previewer::picture(const Latent& denoised, std::uint32_t index, const std::vector<float>& nchw) {
    if (decoder_) {
        const BufferRange& all = math_.range(denoised);
        const std::uint64_t bytes = decoder_->input().size;
        PUMICE_TRY(copy_range(model_.device(), {all.buffer, all.offset + index * bytes, bytes}, decoder_->input()));
        PUMICE_TRY(decoder_->run(nullptr));
        const std::uint32_t factor = model_.config().vae.factor();
        Pixels made = make_pixels(shape_.w * factor, shape_.h * factor, 3);
        PUMICE_TRY(decoder_->read_rgb(made.bytes));
        return made;
    }
    const std::size_t pixels = shape_.tokens();
    std::vector<float> nhwc(pixels * 4);
    for (std::size_t p = 0; p < pixels; ++p)
        for (std::size_t c = 0; c < 4; ++c) nhwc[4 * p + c] = nchw[(index * std::size_t(4) + c) * pixels + p];
    return colour_latent(colours_, nhwc, shape_.h, shape_.w);
}

Status Previewer::show(const Latent& denoised, std::uint32_t step, std::uint32_t steps) {
    std::vector<float> nchw;
    if (!decoder_) {
        PUMICE_ASSIGN(nchw, math_.download(denoised));
    }
    for (std::uint32_t i = 0; i < shape_.n; ++i) {
        PUMICE_ASSIGN(const Pixels made, picture(denoised, i, nchw));
        options_.show({step, steps, i, shape_.n, made});
    }
    return {};
}

}  // namespace pumice
