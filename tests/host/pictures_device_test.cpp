// The starter model's pictures against small stored ones, so that no change of a kernel, sampler or random number goes
// unseen. The references are pictures of `--precision exact`, made with
//   pumice generate --precision exact -p PROMPT --seed SEED OPTIONS… -o tests/pictures/starter/NAME.png
#include <png.h>

#include <array>
#include <cmath>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

struct Pixels {
    png_uint_32 width = 0, height = 0;
    std::vector<png_byte> rgb;
};

Pixels read_png(const fs::path& file) {
    INFO(file);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_file(&image, file.c_str()));
    image.format = PNG_FORMAT_RGB;
    Pixels pixels{image.width, image.height, std::vector<png_byte>(PNG_IMAGE_SIZE(image))};
    REQUIRE(png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr));
    return pixels;
}

/// Peak signal to noise ratio in dB; 100 for equal pictures.
double psnr(const Pixels& a, const Pixels& b) {
    REQUIRE(a.width == b.width);
    REQUIRE(a.height == b.height);
    double square = 0;
    for (std::size_t i = 0; i < a.rgb.size(); ++i) square += std::pow(double(a.rgb[i]) - double(b.rgb[i]), 2);
    const double mean = square / static_cast<double>(a.rgb.size());
    return mean == 0 ? 100 : 10 * std::log10(255 * 255 / mean);
}

struct Reference {
    const char* name;
    std::vector<std::string> options;
};

const std::array references = {
    Reference{"lighthouse",
              {"-p", "a lighthouse at sunset", "--seed", "1", "--steps", "8", "--sampler", "dpmpp_2m", "--schedule",
               "karras"}},
    Reference{"boats",
              {"-p", "two sailing boats on a calm sea at night", "--seed", "7", "-W", "192", "-H", "128", "--steps",
               "8", "--sampler", "ddim", "--cfg", "5"}},
    Reference{"house",
              {"-p", "a (red:1.2) house on green hills under a blue sky", "-n", "night", "--seed", "3", "--steps", "6",
               "--sampler", "euler_a", "--rng", "philox"}},
};

}  // namespace

TEST_CASE("the starter model's pictures are the stored ones to 35 dB") {
    const TemporaryFolder folder;
    for (const Reference& reference : references) {
        INFO(reference.name);
        const Pixels stored =
            read_png(fs::path(PUMICE_TEST_DATA) / "pictures" / "starter" / (std::string(reference.name) + ".png"));
        std::vector<std::string> arguments = {"generate", "-q", "-o", "out.png"};
        arguments.insert(arguments.end(), reference.options.begin(), reference.options.end());
        const Finished made = run({.arguments = arguments, .folder = folder.path()});
        INFO(made.err);
        REQUIRE(made.status == 0);
        CHECK(psnr(read_png(folder.path() / "out.png"), stored) >= 35);
    }
}
