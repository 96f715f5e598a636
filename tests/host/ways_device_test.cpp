// Looking on, ending early, leaving out, and tiles, by the program.
#include <signal.h>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "image/png.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;

namespace {

struct Place {
    TemporaryFolder folder;
    std::string model = tiny_checkpoint().string();

    Finished run(std::vector<std::string> arguments, const std::string& after = "", int signal = 0) {
        arguments.insert(arguments.begin(), {"generate", "-m", model, "--precision", "exact", "-p", "a boat", "--seed", "5"});
        return pumice::test::run({.arguments = arguments, .folder = folder.path(), .interrupt_after = after, .signal = signal});
    }
    void make(std::vector<std::string> arguments) {
        const Finished finished = run(std::move(arguments));
        INFO(finished.err);
        REQUIRE(finished.status == 0);
    }
    std::string bytes(const std::string& name) { return read_file(folder.path() / name); }
    pumice::host::DecodedImage picture(const std::string& name) {
        auto image = pumice::host::read_png(folder.path() / name);
        if (!image) FAIL(image.failure().message);
        return *std::move(image);
    }
    /// The same bytes from the picture's own text.
    void check_repeats(const std::string& name) {
        const Finished again = pumice::test::run({.arguments = {"generate", "-q", "--from", name, "-m", model, "-o", "again.png"},
                                                  .folder = folder.path()});
        INFO(again.err);
        REQUIRE(again.status == 0);
        CHECK(bytes("again.png") == bytes(name));
    }
};

}  // namespace

TEST_CASE("a preview shows the picture as it comes, and leaves it as it is") {
    Place place;
    place.make({"-W", "64", "-H", "64", "--steps", "2", "-b", "2", "-o", "plain.png", "-q"});
    place.make({"-W", "64", "-H", "64", "--steps", "2", "-b", "2", "-o", "seen.png", "-q", "--preview", "p.png",
                "--preview-every", "2"});
    CHECK(place.bytes("seen.png") == place.bytes("plain.png"));
    const auto colours = place.picture("p.png");
    CHECK(colours.width == 16);  // two pictures of an eighth of the size
    CHECK(colours.height == 8);
    place.make({"-W", "64", "-H", "64", "--steps", "2", "-o", "seen.png", "-q", "--preview", "p.png", "--preview-every", "1",
                "--preview-model", PUMICE_TEST_DATA "/goldens/upscale/taesd_decoder.safetensors"});
    CHECK(place.bytes("seen.png") == place.bytes("plain.png"));
    CHECK(place.picture("p.png").width == 64);
    const Finished none = place.run({"--preview", "no/p.png", "--preview-every", "1", "-W", "64", "-H", "64", "--steps", "2",
                                     "-o", "seen.png"});
    CHECK(none.status == 0);
    CHECK(none.err.find("note: no previews: ") != std::string::npos);
    const Finished wrong = place.run({"--preview", "p.png", "--preview-method", "taesd", "--preview-every", "1", "--steps", "2", "-W",
                                      "64", "-H", "64", "-o", "no.png"});
    CHECK(wrong.status == 2);
    CHECK(wrong.err.find("previews by TAESD need its file") != std::string::npos);
}

TEST_CASE("a picture that ends early says so, and comes again") {
    Place place;
    place.make({"-W", "64", "-H", "64", "--steps", "4", "--sampler", "heun", "--stop-at", "2", "-o", "a.png", "-q"});
    CHECK(place.bytes("a.png").find(", Stopped at step: 2, ") != std::string::npos);
    place.check_repeats("a.png");
    // The second pass is not begun, or ends early itself.
    place.make({"-W", "64", "-H", "64", "--steps", "2", "--hires", "1.5", "--stop-at", "2", "-o", "b.png", "-q"});
    CHECK(place.picture("b.png").width == 64);
    place.make({"-W", "64", "-H", "64", "--steps", "2", "--hires", "1.5", "--stop-at", "3", "-o", "c.png", "-q"});
    CHECK(place.picture("c.png").width == 96);
    CHECK(place.bytes("c.png").find("Stopped at step: 3") != std::string::npos);
    place.make({"-W", "64", "-H", "64", "--steps", "2", "--stop-at", "9", "-o", "d.png", "-q"});
    CHECK(place.bytes("d.png").find("Stopped") == std::string::npos);
}

TEST_CASE("SIGUSR1 ends a picture early, and SIGUSR2 leaves it out") {
    Place place;
    const std::vector<std::string> two = {"-W", "64", "-H", "64", "--steps", "60", "--count", "2", "-o", "a.png"};
    const Finished ended = place.run(two, "preparing the network", SIGUSR1);
    INFO(ended.err);
    CHECK(ended.status == 0);
    CHECK(ended.out == "a.png\n");
    CHECK(place.bytes("a.png").find(", Stopped at step: ") != std::string::npos);
    place.check_repeats("a.png");

    const Finished skipped = place.run({"-W", "64", "-H", "64", "--steps", "40", "--count", "2", "-o", "b.png"},
                                       "preparing the network", SIGUSR2);
    INFO(skipped.err);
    CHECK(skipped.status == 0);
    CHECK(skipped.out == "b.png\n");
    CHECK(skipped.err.find("skipped 1 of 2\n") != std::string::npos);
    CHECK(place.bytes("b.png").find("Seed: 6, ") != std::string::npos);

    const Finished grid = place.run({"-W", "64", "-H", "64", "--steps", "40", "--x", "cfg=2,1", "-o", "c.png"},
                                    "preparing the network", SIGUSR2);
    INFO(grid.err);
    REQUIRE(grid.status == 0);
    const auto cells = place.picture("c.png");
    std::size_t white = 0;
    for (const std::uint8_t v : cells.pixels) white += v == 255;
    CHECK(white >= 64 * 64 * 3);
    CHECK(place.bytes("c.png").find("CFG scale: 1,") != std::string::npos);  // of the first that there is

    // Ctrl-C is what it was.
    const Finished cancelled = place.run({"-W", "64", "-H", "64", "--steps", "400", "--count", "2", "-o", "d.png"},
                                         "preparing the network", SIGINT);
    CHECK(cancelled.status == 130);
    CHECK_FALSE(std::filesystem::exists(place.folder.path() / "d.png"));
}

TEST_CASE("count makes one after the other what their seeds make") {
    Place place;
    place.make({"-W", "64", "-H", "64", "--steps", "2", "-b", "2", "--count", "2", "-o", "a.png", "-q"});
    place.make({"-W", "64", "-H", "64", "--steps", "2", "--seed", "7", "-o", "b.png", "-q"});
    place.make({"-W", "64", "-H", "64", "--steps", "2", "--variation-seed", "3", "--variation-strength", "0.5", "--count", "2",
                "-o", "c.png", "-q"});
    CHECK(place.bytes("a-3.png") == place.bytes("b.png"));
    CHECK(std::filesystem::exists(place.folder.path() / "a-4.png"));
    CHECK(place.bytes("c-2.png").find("Seed: 5, ") != std::string::npos);
    CHECK(place.bytes("c-2.png").find("Variation seed: 4, ") != std::string::npos);
}

TEST_CASE("a picture in tiles") {
    Place place;
    const std::vector<std::string> size = {"-W", "128", "-H", "64", "--steps", "2", "-q"};
    const auto make = [&](const std::string& name, std::vector<std::string> more) {
        more.insert(more.end(), size.begin(), size.end());
        more.insert(more.end(), {"-o", name});
        place.make(std::move(more));
        return place.picture(name).pixels;
    };
    const auto whole = make("whole.png", {});
    CHECK(make("one.png", {"--tile", "256x64", "--tile-overlap", "32"}) == whole);
    CHECK(make("tiles.png", {"--tile", "64", "--tile-overlap", "32"}) != whole);
    CHECK(place.bytes("tiles.png").find(", Tile: 64x64, Tile overlap: 32, ") != std::string::npos);
    place.check_repeats("tiles.png");
    // A second pass, a method of guidance, several steps a call, an axis that goes round.
    make("more.png", {"--tile", "96x64", "--hires", "1.25", "--sampler", "heun", "--guidance", "rescale", "--seamless", "x"});
    place.check_repeats("more.png");
    const Finished wrong = place.run({"--tile", "100x64", "-o", "no.png"});
    CHECK(wrong.status == 2);
    CHECK(wrong.err.find("--tile: 100x64 is not WIDTHxHEIGHT") != std::string::npos);
    const Finished overlap = place.run({"--tile", "64x64", "--tile-overlap", "64", "-o", "no.png"});
    CHECK(overlap.err.find("--tile-overlap: 64 is not less than the tile's side of 64") != std::string::npos);
}
