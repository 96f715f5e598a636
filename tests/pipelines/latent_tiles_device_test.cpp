// What is made of tiles is what is made of the whole, where the two see the same; memory is that of a tile.
#include <algorithm>
#include <cmath>
#include <vector>

#include "catch.hpp"
#include "device_fixture.hpp"
#include "ops/operator_run.hpp"
#include "ops/ops.hpp"
#include "pipelines/latent_tiles.hpp"
#include "pipelines/tiled_denoiser.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

std::unique_ptr<Model> tiny_model() {
    const std::shared_ptr<KernelCache> kernels(std::shared_ptr<void>(), &gpu().kernels);  // the fixture owns it
    return need(Model::load(gpu().device, kernels, PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors",
                            {.precision = Precision::exact}));
}

std::unique_ptr<GpuTensorMath> math_of(Model& model, const Shape& shape) {
    return need(GpuTensorMath::create(model.device(), *model.kernels(), shape, Precision::exact, {}));
}

}  // namespace

TEST_CASE("a tile is cut from a picture and laid on it, round its ends too", "[ops]") {
    const Shape whole{2, 7, 5, 4}, part{2, 3, 4, 4};
    const auto x = Random(1).values(whole.elements()), add = Random(2).values(part.elements());
    const std::vector<float> weights{0.5f, 0.25f, 1.0f, 2.0f, 0.125f, 3.0f, 0.75f};
    for (const ops::TilePlace place : {ops::TilePlace{0, 0}, ops::TilePlace{4, 1}, ops::TilePlace{5, 3}}) {
        OperatorRun t(Precision::exact);
        const TensorId picture = t.input(whole, DType::f32, x), sum = t.input(whole, DType::f32, x);
        const TensorId cut = t.input(part, DType::f32, std::vector<float>(part.elements()));
        ops::cut_tile(t.graph, picture, place, cut);
        ops::lay_tile(t.graph, sum, t.input(part, DType::f32, add), place, t.input({1, 1, 1, 7}, DType::f32, weights), 0, 3);
        t.run({cut, sum});
        std::vector<float> want_cut, want_sum = x;
        for (std::uint32_t n = 0; n < whole.n; ++n)
            for (std::uint32_t i = 0; i < part.h; ++i)
                for (std::uint32_t j = 0; j < part.w; ++j)
                    for (std::uint32_t c = 0; c < 4; ++c) {
                        const std::size_t at = ((std::size_t(n) * whole.h + (place.top + i) % whole.h) * whole.w +
                                                (place.left + j) % whole.w) * 4 + c;
                        const float weight = weights[i] * weights[3 + j];
                        const float share = weight * add[want_cut.size()];
                        want_sum[at] = want_sum[at] + share;
                        want_cut.push_back(x[at]);
                    }
        check_same_bits(t.floats(cut), want_cut);
        check_same_bits(t.floats(sum), want_sum);
    }
}

TEST_CASE("tiles of a denoiser that looks at each pixel alone give what it gives of the whole") {
    const auto model = tiny_model();
    const Shape shape{2, 12, 20, 4};
    const auto math = math_of(*model, shape);
    const auto values = Random(3).values(shape.elements());
    const Latent x = need(math->create_latent()), out = need(math->create_latent());
    need(math->upload(x, values));
    for (const Seamless seamless : {Seamless{}, Seamless{true, true}}) {
        const auto tiles = need(LatentTiles::create(*model, *math, shape, {.height = 8, .width = 8, .overlap = 4}, seamless));
        CHECK(tiles->count() == (seamless ? 3u * 5u : 2u * 4u));
        CHECK(tiles->shape() == Shape{2, 8, 8, 4});
        std::size_t calls = 0;
        need(tiles->run(x, out, [&](std::size_t tile, const Latent& in, const Latent& made) {
            CHECK(tile == calls++);
            return tiles->math().combine(made, {{0.75, in}});
        }));
        CHECK(calls == tiles->count());
        const auto got = need(math->download(out));
        double worst = 0;
        for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(double(got[i]) - 0.75 * double(values[i])));
        CHECK(worst < 5e-7);
    }
}

TEST_CASE("tiles of a denoiser give the prediction without the prompt too") {
    const auto model = tiny_model();
    const Shape shape{1, 8, 24, 4};
    const auto math = math_of(*model, shape);
    const Latent x = need(math->create_latent()), out = need(math->create_latent()), other = need(math->create_latent());
    need(math->upload(x, Random(4).values(shape.elements())));
    Conditioning cond, uncond;
    cond.tokens = uncond.tokens = 77;
    cond.values = Random(5).values(std::uint64_t(77) * model->config().unet.context_channels);
    uncond.values = Random(6).values(cond.values.size());
    const Conditioning* const rows[] = {&uncond};
    const auto denoiser = [&](const Conditioning& prompt, GuidanceOptions options) {
        auto made = need(TiledDenoiser::create(*model, *math, shape, {.height = 8, .width = 8, .overlap = 4}, options));
        const GuidedPart part{{&prompt}, 1};
        need(made->set_conditioning({&part, 1}, rows));
        return made;
    };
    const auto plain = [&](const Conditioning& prompt, double scale) {
        need(denoiser(prompt, {.scale = scale})->denoise(x, 3.0, out));
        return need(math->download(out));
    };
    const auto guided = plain(cond, 2), without = plain(uncond, 1);
    need(denoiser(cond, {.scale = 4, .unconditional = true})->denoise_uncond(x, 3.0, 0.5, out, other));
    const auto got = need(math->download(out)), got_without = need(math->download(other));
    double worst = 0, apart = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        worst = std::max({worst, std::abs(double(got[i]) - double(guided[i])),
                          std::abs(double(got_without[i]) - double(without[i]))});
        apart = std::max(apart, std::abs(double(guided[i]) - double(without[i])));
    }
    CHECK(worst < 1e-3);
    CHECK(apart > 0.1);
}

TEST_CASE("the UNet of tiles takes the memory of a tile, and of one tile gives the same bits") {
    const auto model = tiny_model();
    struct Made {
        std::uint64_t bytes = 0;
        std::vector<float> latent;
    };
    const auto make = [&](const Shape& shape, const Tiling& tiling) {
        const auto math = math_of(*model, shape);
        const Latent x = need(math->create_latent()), out = need(math->create_latent());
        need(math->upload(x, Random(4).values(shape.elements())));
        Conditioning cond, uncond;
        cond.tokens = uncond.tokens = 77;
        cond.values = Random(5).values(std::uint64_t(77) * model->config().unet.context_channels);
        uncond.values = Random(6).values(cond.values.size());
        const auto denoiser = need(TiledDenoiser::create(*model, *math, shape, tiling, {.scale = 4}));
        const GuidedPart part{{&cond}, 1};
        const Conditioning* const rows[] = {&uncond};
        need(denoiser->set_conditioning({&part, 1}, rows));
        need(denoiser->denoise(x, 3.0, out));
        return Made{denoiser->arena_bytes(), need(math->download(out))};
    };
    const Shape wide{1, 16, 48, 4};
    const Made whole = make(wide, {}), one = make(wide, {.height = 16, .width = 64, .overlap = 8});
    check_same_bits(one.latent, whole.latent);
    const Made tiled = make(wide, {.height = 16, .width = 16, .overlap = 8}), tile = make({1, 16, 16, 4}, {});
    CHECK(tiled.latent != whole.latent);
    CHECK(tiled.bytes == tile.bytes);
    CHECK(whole.bytes > 2 * tile.bytes);
}
