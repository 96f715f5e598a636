// A seamless picture has no place that is its edge: moved round, it is the same picture.
#include <algorithm>
#include <cmath>
#include <vector>

#include "catch.hpp"
#include "device_fixture.hpp"
#include "models/model.hpp"
#include "ops/operator_run.hpp"
#include "pipelines/vae_decoder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

constexpr std::uint32_t kSide = 8, kMoved = 3;

/// {side, side, channels} moved round to the right by `by` pixels.
std::vector<float> moved(const std::vector<float>& from, std::uint32_t side, std::uint32_t channels, std::uint32_t by) {
    std::vector<float> to(from.size());
    for (std::uint32_t y = 0; y < side; ++y)
        for (std::uint32_t x = 0; x < side; ++x)
            std::copy_n(&from[(std::size_t(y) * side + x) * channels], channels,
                        &to[(std::size_t(y) * side + (x + by) % side) * channels]);
    return to;
}

}  // namespace

TEST_CASE("what a seamless VAE makes of a latent moved round is moved round") {
    const std::shared_ptr<KernelCache> kernels(std::shared_ptr<void>(), &gpu().kernels);  // the fixture owns it
    const auto model = need(Model::load(gpu().device, kernels, PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors",
                                        {.precision = Precision::fp32}));
    const auto decode = [&](const std::vector<float>& latent, Seamless seamless) {
        const auto decoder = need(VaeDecoder::create(*model, kSide, kSide, seamless));
        need(write_range(gpu().device, decoder->input(), std::as_bytes(std::span(latent))));
        need(decoder->run(nullptr));
        std::vector<float> rgb(std::size_t(kSide) * 8 * kSide * 8 * 3);
        need(decoder->read_float(rgb));
        return rgb;
    };
    const std::vector<float> latent = Random(5).values(kSide * kSide * 4);
    const auto difference = [&](Seamless seamless) {
        const auto still = moved(decode(latent, seamless), 8 * kSide, 3, 8 * kMoved);
        const auto round = decode(moved(latent, kSide, 4, kMoved), seamless);
        double worst = 0;
        for (std::size_t i = 0; i < still.size(); ++i) worst = std::max(worst, std::abs(double(still[i]) - double(round[i])));
        return worst;
    };
    CHECK(difference({.x = true, .y = false}) < 1e-4);
    CHECK(difference({.x = true, .y = true}) < 1e-4);
    CHECK(difference({.x = false, .y = true}) > 1e-2);
}
