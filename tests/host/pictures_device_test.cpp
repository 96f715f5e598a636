// The starter model's pictures against small stored ones, so that no change of a kernel, sampler or random number goes
// unseen. The references are pictures of `--precision exact`, made with
//   pumice generate --precision exact -p PROMPT --seed SEED OPTIONS… -o tests/pictures/starter/NAME.png
#include <png.h>

#include <algorithm>
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

/// Which pixels of a picture are white.
std::vector<bool> white(const Pixels& picture) {
    std::vector<bool> is(picture.rgb.size() / 3);
    for (std::size_t i = 0; i < is.size(); ++i) is[i] = picture.rgb[3 * i] > 127;
    return is;
}

/// The share of the white pixels of `of` that have one of `in` within `reach` pixels, each way.
double share_near(const std::vector<bool>& of, const std::vector<bool>& in, int width, int reach) {
    const int height = static_cast<int>(of.size()) / width;
    double all = 0, near = 0;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            if (!of[static_cast<std::size_t>(y * width + x)]) continue;
            bool found = false;
            for (int v = std::max(0, y - reach); v <= std::min(height - 1, y + reach); ++v)
                for (int u = std::max(0, x - reach); u <= std::min(width - 1, x + reach); ++u)
                    found = found || in[static_cast<std::size_t>(v * width + u)];
            ++all;
            near += found;
        }
    return all == 0 ? 0 : near / all;
}

/// How well edges agree: the harmonic mean of precision and recall within two pixels.
double agreement(const Pixels& made, const Pixels& wanted) {
    const std::vector<bool> a = white(made), b = white(wanted);
    const int width = static_cast<int>(made.width);
    const double precision = share_near(a, b, width, 2), recall = share_near(b, a, width, 2);
    return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
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

TEST_CASE("a picture follows the edges that the starter's ControlNet is given") {
    const TemporaryFolder folder;
    const fs::path data = PUMICE_TEST_DATA, edges = data / "pictures" / "control" / "edges.png";
    const fs::path model = data.parent_path() / "host" / "assets" / "starter_canny.safetensors";
    const Pixels wanted = read_png(edges);
    const auto edges_of_picture = [&](const std::string& name, std::vector<std::string> options) {
        std::vector<std::string> arguments = {"generate", "-q", "-p", "a landscape", "--seed", "7", "--sampler", "ddim",
                                              "--steps", "8", "--cfg", "4", "-o", name + ".png"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Finished made = run({.arguments = arguments, .folder = folder.path()});
        INFO(made.err);
        REQUIRE(made.status == 0);
        const Finished drawn = run({.arguments = {"preprocess", "canny", name + ".png", "-q", "-o", name + "-edges.png"},
                                    .folder = folder.path()});
        INFO(drawn.err);
        REQUIRE(drawn.status == 0);
        return read_png(folder.path() / (name + "-edges.png"));
    };
    const double off = agreement(edges_of_picture("off", {}), wanted);
    const double on =
        agreement(edges_of_picture("on", {"--control", "model=" + model.string() + ",image=" + edges.string()}), wanted);
    INFO("edges agree to " << on << " with the control, " << off << " without");
    CHECK(on > 0.6);
    CHECK(off < 0.35);
}
