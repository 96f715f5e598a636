#include "pipelines/preview.hpp"

#include <cmath>

#include "catch.hpp"

using namespace pumice;

TEST_CASE("colours of a latent are found from pictures whose colours are known") {
    LatentColours made;
    made.weights = {{{0.2, 0.1, 0.0}, {0.1, -0.2, 0.05}, {0.0, 0.1, -0.3}, {0.0, 0.0, 0.0}}};
    made.bias = {0.5, 0.4, 0.6};
    std::vector<float> latents, rgb;
    for (int i = 0; i < 64; ++i) {
        const double values[] = {std::sin(i * 1.0), std::cos(i * 0.7), std::sin(i * 0.31), 0};  // the last says nothing
        for (const double v : values) latents.push_back(static_cast<float>(v));
        for (std::size_t c = 0; c < 3; ++c) {
            double sum = made.bias[c];
            for (std::size_t k = 0; k < 4; ++k) sum += made.weights[k][c] * values[k];
            rgb.push_back(static_cast<float>(sum));
        }
    }
    const LatentColours found = fit_colours(latents, rgb);
    for (std::size_t c = 0; c < 3; ++c) {
        CHECK(found.bias[c] == Approx(made.bias[c]).epsilon(1e-4));
        for (std::size_t k = 0; k < 4; ++k) CHECK(found.weights[k][c] == Approx(made.weights[k][c]).margin(1e-4));
    }
    const Pixels picture = colour_latent(found, std::span(latents).first(6 * 4), 2, 3);
    CHECK(picture.width == 3);
    CHECK(picture.height == 2);
    for (std::size_t i = 0; i < 18; ++i) CHECK(std::abs(picture.bytes[i] - 255 * double(rgb[i])) <= 1);
    // Beyond what a byte holds it is kept within.
    const Pixels far = colour_latent(found, std::vector<float>{100, 0, 0, 0, -100, 0, 0, 0}, 1, 2);
    CHECK(far.bytes[0] == 255);
    CHECK(far.bytes[3] == 0);
}
