// `pumice upscale`, `pumice preprocess` and `pumice generate --filter` on a device.
#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "image/png.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
using pumice::host::DecodedImage;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

const std::string kModel = std::string(PUMICE_TEST_DATA) + "/goldens/upscale/srvgg_x4.safetensors";

/// A picture of 20x14 with alpha, and its file.
std::vector<std::uint8_t> write_picture(const fs::path& file) {
    std::vector<std::uint8_t> pixels;
    for (unsigned y = 0; y < 14; ++y)
        for (unsigned x = 0; x < 20; ++x)
            for (const unsigned v : {x * 12, y * 18, x * y, x < 10 ? 255u : 40u})
                pixels.push_back(static_cast<std::uint8_t>(v));
    const auto png = pumice::host::encode_png({20, 14, pixels, "", true});
    REQUIRE(png);
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(png->data()), std::streamsize(png->size()));
    return pixels;
}

DecodedImage read_picture(const fs::path& file) {
    auto image = pumice::host::read_png(file);
    INFO((image ? "" : image.failure().message));
    REQUIRE(image);
    return *std::move(image);
}

void check_fails(const Finished& finished, int status, const std::string& message) {
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(finished.err == "pumice: " + message + "\n");
}

}  // namespace

TEST_CASE("upscale finds the upscaler of a model and keeps alpha") {
    const TemporaryFolder folder;
    const std::string in = (folder.path() / "in.png").string(), out = (folder.path() / "out.png").string();
    const auto pixels = write_picture(in);
    const DecodedImage back = read_picture(in);
    CHECK(back.pixels == pixels);
    const Finished made = run({.arguments = {"upscale", in, "-o", out, "--model", kModel, "--json"},
                               .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", folder.path().string()}}});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const Json report = Json::parse(made.out);
    CHECK(report["upscaler"] == "compact");
    CHECK(report["plugin"] == "pumice.upscalers");
    CHECK(report["scale"] == 4.0);
    CHECK(report["file"] == out);
    const DecodedImage image = read_picture(out);
    CHECK(image.width == 80);
    CHECK(image.height == 56);
    REQUIRE(image.channels == 4);
    CHECK(image.pixels[4 * (28 * 80 + 8) + 3] == 255);
    CHECK(image.pixels[4 * (28 * 80 + 70) + 3] == 40);
    CHECK(made.err.find("step 2/2") != std::string::npos);  // the network's tile and alpha's
}

TEST_CASE("upscale to a size of the user's, without a model") {
    const TemporaryFolder folder;
    write_picture(folder.path() / "in.png");
    const Finished made = run(
        {.arguments = {"upscale", "in.png", "--upscaler", "lanczos", "--scale", "1.5", "-q"}, .folder = folder.path()});
    INFO(made.err);
    REQUIRE(made.status == 0);
    CHECK(made.out == "pumice-0001.png\n");
    const DecodedImage image = read_picture(folder.path() / "pumice-0001.png");
    CHECK(image.width == 30);
    CHECK(image.height == 21);
}

TEST_CASE("what upscale and preprocess cannot do is one line, and an exit status of its kind") {
    const TemporaryFolder folder;
    const std::string in = (folder.path() / "in.png").string(), out = (folder.path() / "out.png").string();
    write_picture(in);
    const auto upscale = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments = {"upscale", in, "-o", out, "-q"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_pumice(arguments);
    };
    const std::string other = tiny_checkpoint().string();
    check_fails(upscale({"--model", other}), 6, other + " is for none of the upscalers there are: esrgan, compact");
    check_fails(upscale({"--upscaler", "esrgan"}), 2, "the upscaler esrgan needs a model");
    check_fails(upscale({"--upscaler", "lanczos", "--model", kModel}), 2, "the upscaler lanczos takes no model");
    check_fails(upscale({"--upscaler", "lanzcos"}), 2,
                "--upscaler: lanzcos is not one of esrgan, compact, lanczos, bicubic; did you mean lanczos?");
    check_fails(upscale({"--upscaler", "lanczos", "--scale", "100"}), 2,
                "--scale: 100 is not a number from 0.0625 to 64");
    check_fails(upscale({}), 2, "upscale needs --model FILE, or --upscaler NAME: lanczos, bicubic, …");
    check_fails(run_pumice({"upscale", "/no/such.png", "--upscaler", "lanczos", "-o", out}), 3,
                "there is no file /no/such.png");
    const std::string text = (folder.path() / "text.png").string();
    std::ofstream(text) << "no picture";
    CHECK(run_pumice({"upscale", text, "--upscaler", "lanczos", "-o", out}).status == 5);
    check_fails(run_pumice({"preprocess", "invert", "-o", out}), 2,
                "preprocess needs a picture, a PNG file, or --width and --height");
    check_fails(run_pumice({"preprocess", "invert", "-W", "8", "-H", "8", "-o", out}), 2,
                "the preprocessor invert needs a picture");
    check_fails(run_pumice({"preprocess", "canny", in, "--plugin-param", "preprocessor.low=-1", "-o", out}), 2,
                "plugin parameter preprocessor.low: -1 is not a whole number from 0 to 2040");
    CHECK(!fs::exists(out));
}

TEST_CASE("preprocess inverts a picture") {
    const TemporaryFolder folder;
    const std::string in = (folder.path() / "in.png").string(), out = (folder.path() / "out.png").string();
    const auto pixels = write_picture(in);
    const Finished made = run_pumice({"preprocess", "invert", in, "-o", out});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const DecodedImage image = read_picture(out);
    REQUIRE(image.channels == 3);
    for (std::size_t i = 0; i < 20 * 14; ++i)
        for (std::size_t c = 0; c < 3; ++c) REQUIRE(image.pixels[3 * i + c] == 255 - pixels[4 * i + c]);
}

TEST_CASE("generate runs image filters on what it made") {
    const TemporaryFolder folder;
    const auto generate = [&](const std::string& file, std::vector<std::string> more) {
        std::vector<std::string> arguments = {"generate", "-m",     tiny_checkpoint().string(),
                                              "-p",       "a boat", "-W",
                                              "64",       "-H",     "64",
                                              "--steps",  "1",      "--seed",
                                              "7",        "-q",     "-o",
                                              file};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run({.arguments = arguments, .folder = folder.path()});
    };
    REQUIRE(generate("plain.png", {}).status == 0);
    REQUIRE(generate("grey.png", {"--filter", "adjust", "--filter", "sharpen", "--plugin-param",
                                  "image_filter.saturation=0", "--plugin-param", "image_filter.amount=0"})
                .status == 0);
    const DecodedImage plain = read_picture(folder.path() / "plain.png"),
                       grey = read_picture(folder.path() / "grey.png");
    for (std::size_t i = 0; i < grey.pixels.size(); i += 3) {
        const double luma = 0.299 * plain.pixels[i] + 0.587 * plain.pixels[i + 1] + 0.114 * plain.pixels[i + 2];
        REQUIRE(std::abs(grey.pixels[i] - luma) < 1);
        REQUIRE(grey.pixels[i] == grey.pixels[i + 2]);
    }
    CHECK(plain.pixels != grey.pixels);
    check_fails(generate("x.png", {"--filter", "nothing"}), 2, "--filter: nothing is not one of sharpen, adjust");
    check_fails(generate("x.png", {"--filter", "sharpen", "--plugin-param", "image_filter.contrast=1"}), 2,
                "plugin parameter image_filter.contrast=1: no image filter of this request has it");
}
