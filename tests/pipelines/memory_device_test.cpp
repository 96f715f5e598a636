// Pictures under a limit of memory: the same bytes, whatever has to come and go.
#include <cmath>

#include "device_fixture.hpp"
#include "ops/operator_run.hpp"
#include "pipelines/memory_plan.hpp"
#include "pipelines/small_picture.hpp"
#include "pipelines/vae_decoder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::string kTiny = PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors";
const std::string kStarter = PUMICE_TEST_DATA "/../host/assets/starter.safetensors";

/// A model on a device of its own, so that limit and peaks are its own too.
struct Alone {
    std::shared_ptr<Device> device = fresh_device();
    std::shared_ptr<KernelCache> kernels = std::make_shared<KernelCache>(device);
    std::unique_ptr<Model> model;
    Alone(const std::string& file, Precision precision, std::uint64_t limit)
        : model(need(Model::load(device, kernels, file, {.precision = precision, .memory_limit = limit}))) {}
    TextToImageResult picture(const TextToImageRequest& request) {
        device->allocator().reset_peaks();
        return need(text_to_image(*model, request));
    }
    std::uint64_t peak() const { return device->allocator().statistics().device_peak; }
};

double psnr(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    return sum == 0 ? 99 : 10 * std::log10(255.0 * 255.0 * double(a.size()) / sum);
}

void check_tiles(std::uint32_t side, std::uint64_t limit, std::initializer_list<Seamless> kinds) {
    for (const Seamless seamless : kinds) {
        const auto decode = [&](Alone& alone, std::uint32_t& tiles) {
            const auto decoder = need(VaeDecoder::create(*alone.model, side, side, seamless));
            std::vector<float> latent = Random(5).values(side * side * 4);
            // Unlike from place to place, so that the tiles' own statistics would not do.
            for (std::size_t i = 0; i < latent.size(); ++i)
                latent[i] *= 0.4f + 1.2f * float(i / 4 % side) / float(side);
            need(write_range(alone.device, decoder->input(), std::as_bytes(std::span(latent))));
            need(decoder->run(nullptr));
            tiles = decoder->tiles();
            std::vector<std::uint8_t> rgb(std::size_t(side) * 8 * side * 8 * 3);
            need(decoder->read_rgb(rgb));
            return rgb;
        };
        Alone free(kStarter, Precision::fp32, 0), limited(kStarter, Precision::fp32, limit);
        std::uint32_t tiles = 9;
        const auto whole = decode(free, tiles);
        CHECK(tiles == 0);
        const auto tiled = decode(limited, tiles);
        CHECK(tiles >= 2);
        CHECK(limited.peak() <= limit);
        const double quality = psnr(whole, tiled);
        INFO(tiles << " tiles, " << quality << " dB, whole " << free.peak());
        CHECK(quality >= 40);
    }
}

}  // namespace

TEST_CASE("a picture is the same when the UNet's weights come and go") {
    constexpr std::uint64_t kLimit = 2 << 20;  // the UNet has 1.9 MiB of weights, the text encoder 1.6
    for (const Precision precision : {Precision::exact, Precision::fp32}) {
        INFO(int(precision));
        Alone free(kTiny, precision, 0), limited(kTiny, precision, kLimit);
        const TextToImageRequest request = small_request();
        const auto whole = free.picture(request);
        CHECK(whole.streamed == 0);
        const auto first = limited.picture(request);
        CHECK(first.streamed > 0);
        CHECK(limited.peak() <= kLimit);
        CHECK((first.images[0].rgb == whole.images[0].rgb));
        // Again, from the copies on the host.
        const auto second = limited.picture(request);
        CHECK((second.images[0].rgb == whole.images[0].rgb));
        // And from the file each time.
        limited.model->unet_weights().set_host_limit(0);
        limited.model->release_weights();
        limited.model->unet_weights().forget_host();
        const auto third = limited.picture(request);
        CHECK(third.streamed > 0);
        CHECK(limited.model->unet_weights().host_bytes() == 0);
        CHECK((third.images[0].rgb == whole.images[0].rgb));
        CHECK(limited.peak() <= kLimit);
    }
}

TEST_CASE("the plan of a picture is what it takes") {
    for (const std::uint64_t limit : {std::uint64_t(2) << 20, std::uint64_t(64) << 20}) {
        INFO(limit);
        Alone alone(kTiny, Precision::fp32, limit);
        const MemoryPlan plan = need(plan_memory(*alone.model, {.width = 64, .height = 64}));
        CHECK(alone.device->allocator().statistics().device_in_use == 0);
        REQUIRE(plan.stages.size() == 3);
        const auto made = alone.picture(small_request());
        CHECK((made.streamed > 0) == (plan.stages[1].parts > 0));
        CHECK(made.streamed == plan.stages[1].streamed);
        // Latents and blocks that are not full come on top: at most what is kept back for them.
        const std::uint64_t kept_back = std::min(std::uint64_t(64) << 20, limit / 16);
        CHECK(alone.peak() >= plan.peak);
        CHECK(alone.peak() <= plan.peak + std::max(kept_back, std::uint64_t(3) << 20));
    }
}

TEST_CASE("too little memory for one layer is an error that says so, and the model goes on with more") {
    Alone alone(kTiny, Precision::fp32, 1 << 20);
    const auto none = text_to_image(*alone.model, small_request());
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::out_of_device_memory);
    CHECK(none.error().message.find("\n") == std::string::npos);
    CHECK_FALSE(plan_memory(*alone.model, {.width = 64, .height = 64}));
    alone.device->allocator().set_limit(64 << 20);
    CHECK(text_to_image(*alone.model, small_request()));
}

TEST_CASE("a picture decoded in tiles is what it is whole") { check_tiles(16, 10 << 20, {Seamless{}}); }
TEST_CASE("larger pictures decoded in tiles, seamless too, are what they are whole", "[.slow]") {
    check_tiles(24, 18 << 20, {Seamless{}, Seamless{.x = true, .y = false}});
}
