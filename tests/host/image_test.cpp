#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "catch.hpp"
#include "cli/output_names.hpp"
#include "host/checkpoint.hpp"
#include "image/atomic_file.hpp"
#include "image/infotext.hpp"
#include "image/png.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::host;
namespace fs = std::filesystem;

namespace {

/// Type and data of every chunk.
std::vector<std::pair<std::string, std::string>> chunks(const std::vector<std::uint8_t>& png) {
    std::vector<std::pair<std::string, std::string>> found;
    const std::string bytes(png.begin(), png.end());
    for (std::size_t at = 8; at + 12 <= bytes.size();) {
        std::size_t size = 0;
        for (std::size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
        found.emplace_back(bytes.substr(at + 4, 4), bytes.substr(at + 8, size));
        at += size + 12;
    }
    return found;
}

std::string chunk(const std::vector<std::uint8_t>& png, const std::string& type) {
    for (const auto& [name, data] : chunks(png))
        if (name == type) return data;
    return "";
}

std::vector<std::uint8_t> gradient(std::size_t bytes) {
    std::vector<std::uint8_t> rgb(bytes);
    std::iota(rgb.begin(), rgb.end(), std::uint8_t(0));
    return rgb;
}

PictureInfo example() {
    return {.prompt = "a lighthouse, sunset",
            .negative_prompt = "fog",
            .steps = 20,
            .sampler = "euler_a",
            .schedule = "karras",
            .guidance = "",
            .guidance_params = {},
            .controls = {},
            .guidance_scale = 5,
            .seed = 123,
            .width = 192,
            .height = 128,
            .model_hash = "0123456789abcdef",
            .model_name = "starter",
            .clip_skip = 2,
            .rng = "torch-cpu",
            .version = "pumice 0.1.0"};
}

std::span<const std::uint8_t> as_bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("parameters have AUTOMATIC1111's form") {
    CHECK(infotext(example()) ==
          "a lighthouse, sunset\n"
          "Negative prompt: fog\n"
          "Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 5, Seed: 123, Size: 192x128, Model hash: "
          "0123456789, "
          "Model: starter, Clip skip: 2, RNG: CPU, Version: pumice 0.1.0");
    PictureInfo plain = example();
    plain.prompt = "x\ny";
    plain.negative_prompt = "";
    plain.sampler = "dpmpp_2m";
    plain.schedule = "sgm_uniform";
    plain.guidance_scale = 7.5f;
    plain.clip_skip = 1;
    plain.rng = "philox";
    plain.model_name = "a: \"b\", c";
    CHECK(infotext(plain) ==
          "x\ny\n"
          "Steps: 20, Sampler: DPM++ 2M, Schedule type: SGM Uniform, CFG scale: 7.5, Seed: 123, Size: 192x128, "
          "Model hash: 0123456789, Model: \"a: \\\"b\\\", c\", RNG: NV, Version: pumice 0.1.0");
    plain.sampler = "ddim";
    CHECK(infotext(plain).find("Sampler: DDIM, Schedule type: Automatic,") != std::string::npos);
    plain.loras = {{"sea, 2", "0123456789ab"}, {"none", ""}, {"sky", "ba9876543210"}};
    CHECK(infotext(plain).ends_with("RNG: NV, Lora hashes: \"sea 2: 0123456789ab, sky: ba9876543210\", Version: pumice 0.1.0"));
}

TEST_CASE("a PNG gives back its pixels and its text") {
    const std::vector<std::uint8_t> rgb = gradient(5 * 3 * 3);
    const auto png = encode_png({5, 3, rgb, "caf\xC3\xA9\nSteps: 1"});
    REQUIRE(png);
    png_image read{};
    read.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&read, png->data(), png->size()));
    read.format = PNG_FORMAT_RGB;
    std::vector<std::uint8_t> back(PNG_IMAGE_SIZE(read));
    REQUIRE(png_image_finish_read(&read, nullptr, back.data(), 0, nullptr));
    CHECK(read.width == 5);
    CHECK(read.height == 3);
    CHECK(back == rgb);
    // Latin-1 in tEXt …
    CHECK(chunk(*png, "tEXt") == std::string("parameters\0caf\xE9\nSteps: 1", 24));
    CHECK(chunk(*png, "iTXt").empty());
    // … and everything else as UTF-8 in iTXt: no compression, no language.
    const auto wide = encode_png({5, 3, rgb, "\xE5\xB1\xB1"});
    REQUIRE(wide);
    CHECK(chunk(*wide, "iTXt") == std::string("parameters\0\0\0\0\0\xE5\xB1\xB1", 18));
    CHECK(chunk(*wide, "tEXt").empty());
    const auto bare = encode_png({5, 3, rgb, ""});
    REQUIRE(bare);
    CHECK(chunk(*bare, "tEXt").empty());
    CHECK_FALSE(encode_png({5, 4, rgb, ""}));
}

TEST_CASE("a file is written whole, replaced or kept") {
    test::TemporaryFolder folder;
    const fs::path file = folder.path() / "a.png";
    const std::string one = "one", two = "two";
    REQUIRE(write_file(file, as_bytes(one), Existing::keep));
    const auto kept = write_file(file, as_bytes(two), Existing::keep);
    REQUIRE(kept);
    CHECK_FALSE(*kept);
    CHECK(test::read_file(file) == "one");
    REQUIRE(write_file(file, as_bytes(two), Existing::replace));
    CHECK(test::read_file(file) == "two");

    const mode_t mask = ::umask(0);
    ::umask(mask);
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == (0666 & ~mask));

    // Through a link, which stays one.
    fs::create_symlink("a.png", folder.path() / "link.png");
    REQUIRE(write_file(folder.path() / "link.png", as_bytes(one), Existing::replace));
    CHECK(fs::is_symlink(folder.path() / "link.png"));
    CHECK(test::read_file(file) == "one");
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("what is no regular file is written to, not replaced") {
    REQUIRE(check_writable("/dev/null"));
    REQUIRE(write_file("/dev/null", as_bytes("x"), Existing::replace));
    CHECK(fs::is_character_file("/dev/null"));
    const auto full = write_file("/dev/full", as_bytes("x"), Existing::replace);
    REQUIRE_FALSE(full);
    CHECK(full.failure().status == PUMICE_IO);
    CHECK(full.failure().message ==
          "cannot write /dev/full: the disk is full (No space left on device); make room, or choose another");
}

TEST_CASE("a place that cannot be written to is told beforehand") {
    test::TemporaryFolder folder;
    const std::string base = folder.path().string();
    test::write_file(folder.path() / "file", "x");
    const auto message = [](const std::string& path) {
        const auto checked = check_writable(path);
        return checked ? "" : checked.failure().message;
    };
    CHECK(message(base + "/a.png") == "");
    CHECK(message("a.png") == "");
    CHECK(message(base + "/none/a.png") ==
          "cannot write " + base + "/none/a.png: there is no folder " + base + "/none; create it, or choose another");
    CHECK(message(base + "/file/a.png") ==
          "cannot write " + base + "/file/a.png: " + base + "/file is not a folder; choose another");
    CHECK(message(base) == "cannot write " + base + ": it is a folder; name a file");
    CHECK(message(base + "/") == "cannot write " + base + "/: it is a folder; name a file");
}

TEST_CASE("pictures of a batch get names that follow each other") {
    test::TemporaryFolder folder;
    cli::OutputNames given((folder.path() / "out.png").string(), std::nullopt);
    REQUIRE(given.check());
    CHECK(given.write(0, as_bytes("a"))->filename() == "out.png");
    CHECK(given.write(1, as_bytes("b"))->filename() == "out-2.png");
    CHECK(given.write(2, as_bytes("c"))->filename() == "out-3.png");
    CHECK(given.write(0, as_bytes("d"))->filename() == "out.png");

    cli::OutputNames counted(std::nullopt, folder.path().string());
    CHECK(counted.write(0, as_bytes("a"))->filename() == "pumice-0001.png");
    test::write_file(folder.path() / "pumice-0041.png", "x");
    test::write_file(folder.path() / "pumice-x.png", "x");
    CHECK(counted.write(1, as_bytes("b"))->filename() == "pumice-0002.png");
    cli::OutputNames later(std::nullopt, folder.path().string());
    CHECK(later.write(0, as_bytes("a"))->filename() == "pumice-0042.png");
    CHECK(test::read_file(folder.path() / "pumice-0041.png") == "x");

    const cli::OutputNames other("a.JPG", std::nullopt);
    REQUIRE_FALSE(other.check());
    CHECK(other.check().failure().message == "-o a.JPG: only PNG is written; let the name end with .png");
}
