// Preprocessors that treat the picture's colours: scribble, blur, tile, recolor, invert, threshold, shuffle.
#include <algorithm>
#include <array>
#include <cmath>

#include "methods.hpp"

namespace pumice::preprocessors {
namespace {

/// Calls f(in pixel, out pixel) for all of them.
template <class F>
void each_pixel(Drawing& d, F&& f) {
    const std::uint32_t channels = d.in.channels();
    for (std::uint32_t y = 0; y < d.out.height(); ++y) {
        const std::uint8_t* in = d.in.row(y);
        std::uint8_t* out = d.out.row(y);
        for (std::uint32_t x = 0; x < d.out.width(); ++x, in += channels, out += 3) f(in, out);
    }
}

void set(std::uint8_t* out, std::uint8_t level) {
    out[0] = out[1] = out[2] = level;
}

std::uint8_t to_level(double v) {
    return static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0) + 0.5);
}

/// Dark strokes on light paper become white on black.
void scribble(Drawing& d) {
    const double below = d.params[0].number;
    each_pixel(d, [&](const std::uint8_t* in, std::uint8_t* out) {
        set(out, std::min({in[0], in[1], in[2]}) < below ? 255 : 0);
    });
}

void invert(Drawing& d) {
    each_pixel(d, [](const std::uint8_t* in, std::uint8_t* out) {
        for (int c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(255 - in[c]);
    });
}

/// Luma of ITU-R BT.601.
double luma(const std::uint8_t* in) {
    return 0.299 * in[0] + 0.587 * in[1] + 0.114 * in[2];
}

void threshold(Drawing& d) {
    const double above = d.params[0].number;
    each_pixel(d, [&](const std::uint8_t* in, std::uint8_t* out) { set(out, luma(in) > above ? 255 : 0); });
}

/// Lightness L* of CIE 1976 (of sRGB, IEC 61966-2-1), or the strongest channel; to the power of gamma.
void recolor(Drawing& d) {
    const bool intensity = d.params[0].number == 1;
    const double gamma = d.params[1].number;
    const auto pow = d.math.pow;
    std::array<double, 256> linear{}, corrected{};
    for (std::size_t i = 0; i < 256; ++i) {
        const double v = static_cast<double>(i) / 255;
        linear[i] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
        corrected[i] = v == 0 ? 0 : 255 * pow(v, gamma);
    }
    each_pixel(d, [&](const std::uint8_t* in, std::uint8_t* out) {
        if (intensity) return set(out, to_level(corrected[std::max({in[0], in[1], in[2]})]));
        const double y = 0.2126 * linear[in[0]] + 0.7152 * linear[in[1]] + 0.0722 * linear[in[2]];
        const double lightness = y > 216.0 / 24389 ? 116 * pow(y, 1.0 / 3) - 16 : y * 24389 / 27;
        const double v = std::clamp(lightness / 100, 0.0, 1.0);
        set(out, to_level(v == 0 ? 0 : 255 * pow(v, gamma)));
    });
}

/// A Gaussian of the given deviation, cut at three of them; at the edge the picture goes on as its last pixel.
void blur(Drawing& d) {
    const double sigma = d.params[0].number;
    const auto reach = static_cast<std::int64_t>(std::ceil(3 * sigma));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t i = -reach; i <= reach; ++i) {
        weights.push_back(d.math.exp(-static_cast<double>(i * i) / (2 * sigma * sigma)));
        sum += weights.back();
    }
    const std::int64_t w = d.in.width(), h = d.in.height(), channels = d.in.channels();
    std::vector<double> across(static_cast<std::size_t>(3 * w * h));
    for (std::int64_t y = 0; y < h; ++y) {
        const std::uint8_t* row = d.in.row(static_cast<std::uint32_t>(y));
        for (std::int64_t x = 0; x < w; ++x)
            for (std::int64_t c = 0; c < 3; ++c) {
                double v = 0;
                for (std::int64_t i = -reach; i <= reach; ++i)
                    v += weights[static_cast<std::size_t>(i + reach)] *
                         row[std::clamp<std::int64_t>(x + i, 0, w - 1) * channels + c];
                across[static_cast<std::size_t>(3 * (y * w + x) + c)] = v / sum;
            }
    }
    for (std::int64_t y = 0; y < h; ++y)
        for (std::int64_t i = 0; i < 3 * w; ++i) {
            double v = 0;
            for (std::int64_t k = -reach; k <= reach; ++k)
                v += weights[static_cast<std::size_t>(k + reach)] *
                     across[static_cast<std::size_t>(3 * w * std::clamp<std::int64_t>(y + k, 0, h - 1) + i)];
            d.out.row(static_cast<std::uint32_t>(y))[i] = to_level(v / sum);
        }
}

/// The picture as a coarse one would show it: made smaller by `rate` and large again, by the engine's resampling.
void tile(Drawing& d) {
    const double rate = d.params[0].number;
    const std::uint32_t w = d.in.width(), h = d.in.height();
    const auto small = [&](std::uint32_t side) {
        return std::max(1u, static_cast<std::uint32_t>(std::floor(side / rate + 0.5)));
    };
    sdk::Program program(d.job, "tile", [&](sdk::Graph& g) {
        pumice_resample_options down{}, up{};
        down.method = up.method = PUMICE_RESAMPLE_BICUBIC;
        down.rows = small(h), down.columns = small(w);
        up.rows = h, up.columns = w;
        g.output(g.resample(g.resample(g.input(h, w, 4), down), up));
    });
    program.write(d.in, 0, 0);
    program.run();
    program.read(d.out, 0, 0, w, h, 0, 0);
}

/// Numbers in [0, 1) that follow from a seed and a place: the output function of SplitMix64 (Steele et al. 2014).
double random_at(std::uint64_t seed, std::uint64_t place) {
    std::uint64_t z = seed + (place + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/// A smooth random field of values in [0, 1]: random at the corners of a grid of `cell` pixels, between them by a curve
/// without a kink (6t^5 - 15t^4 + 10t^3, Perlin 2002).
struct Field {
    std::uint64_t seed;
    double cell;
    double at(double x, double y) const {
        const auto corner = [&](double i, double j) {
            return random_at(seed, static_cast<std::uint64_t>(i) * 65536 + static_cast<std::uint64_t>(j));
        };
        const auto smooth = [](double t) { return t * t * t * (t * (6 * t - 15) + 10); };
        const double column = std::floor(x / cell), row = std::floor(y / cell);
        const double u = smooth(x / cell - column), v = smooth(y / cell - row);
        const double top = corner(row, column) * (1 - u) + corner(row, column + 1) * u;
        const double bottom = corner(row + 1, column) * (1 - u) + corner(row + 1, column + 1) * u;
        return top * (1 - v) + bottom * v;
    }
};

/// Every pixel from a random place, neighbours from places side by side: the colours stay, the contents go.
void shuffle(Drawing& d) {
    const double cell = d.params[0].number;
    const Field across{d.seed * 2, cell}, down{d.seed * 2 + 1, cell};
    const std::uint32_t w = d.in.width(), h = d.in.height(), channels = d.in.channels();
    for (std::uint32_t y = 0; y < h; ++y)
        for (std::uint32_t x = 0; x < w; ++x) {
            const double sx = across.at(x, y) * (w - 1), sy = down.at(x, y) * (h - 1);
            const auto left = static_cast<std::uint32_t>(sx), top = static_cast<std::uint32_t>(sy);
            const std::uint32_t right = std::min(left + 1, w - 1), bottom = std::min(top + 1, h - 1);
            const double u = sx - left, v = sy - top;
            for (std::uint32_t c = 0; c < 3; ++c) {
                const auto level = [&](std::uint32_t column, std::uint32_t row) {
                    return static_cast<double>(d.in.row(row)[std::size_t{column} * channels + c]);
                };
                d.out.row(y)[std::size_t{3} * x + c] =
                    to_level((level(left, top) * (1 - u) + level(right, top) * u) * (1 - v) +
                             (level(left, bottom) * (1 - u) + level(right, bottom) * u) * v);
            }
        }
}

const char* const kRecolorModes[] = {"luminance", "intensity", nullptr};

const pumice_param kBelow = number("threshold", "what is darker is a stroke", nullptr, 1, 255, 127);
const pumice_param kAbove = number("threshold", "what is lighter becomes white", nullptr, 0, 254, 127);
const pumice_param kSigma = number("sigma", "how soft", "pixels", 0.5, 64, 9, PUMICE_PARAM_FLOAT);
const pumice_param kRate = number("rate", "how coarse", "pixels", 1, 32, 4, PUMICE_PARAM_FLOAT);
const pumice_param kCell = number("cell", "how large the parts are that stay whole", "pixels", 16, 1024, 256);
const pumice_param kMode = {
    sizeof(pumice_param), PUMICE_PARAM_ENUM, "mode", "what of the colours is kept", nullptr, 0, 0, 0, 0, nullptr,
    kRecolorModes};
const pumice_param kGamma = number("gamma", "below 1 lighter, above darker", nullptr, 0.1, 4, 1, PUMICE_PARAM_FLOAT);
const pumice_param* const kScribbleParams[] = {&kBelow};
const pumice_param* const kThresholdParams[] = {&kAbove};
const pumice_param* const kBlurParams[] = {&kSigma};
const pumice_param* const kTileParams[] = {&kRate};
const pumice_param* const kShuffleParams[] = {&kCell};
const pumice_param* const kRecolorParams[] = {&kMode, &kGamma};

}  // namespace

std::vector<Preprocessor> colour_methods() {
    constexpr std::uint32_t kSize = sizeof(pumice_preprocessor_descriptor);
    return {
        {{kSize, 0, "scribble", "Scribble", "dark strokes as white on black", 1, 0, kScribbleParams}, scribble},
        {{kSize, 0, "blur", "Blur", "softened by a Gaussian", 1, 0, kBlurParams}, blur},
        {{kSize, 0, "tile", "Tile", "coarse colours, for detail that is made anew", 1, 0, kTileParams}, tile},
        {{kSize, 0, "recolor", "Recolor", "lightness without colour", 2, 0, kRecolorParams}, recolor},
        {{kSize, 0, "invert", "Invert", "every channel turned round", 0, 0, nullptr}, invert},
        {{kSize, 0, "threshold", "Threshold", "black and white", 1, 0, kThresholdParams}, threshold},
        {{kSize, 0, "shuffle", "Shuffle", "the colours at other places", 1, 0, kShuffleParams}, shuffle},
    };
}

}  // namespace pumice::preprocessors
