#include "image/grid.hpp"

#include <algorithm>

#include "catch.hpp"

using namespace pumice;
using host::DecodedImage;

namespace {

DecodedImage plain(std::uint32_t width, std::uint32_t height, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
    DecodedImage image{width, height, 3, {}};
    for (std::uint32_t i = 0; i < width * height; ++i) image.pixels.insert(image.pixels.end(), {r, g, b});
    return image;
}

std::size_t pixels_of(const DecodedImage& image, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < image.pixels.size(); i += 3)
        count += image.pixels[i] == r && image.pixels[i + 1] == g && image.pixels[i + 2] == b;
    return count;
}

/// The row in which this colour begins.
std::size_t first_row(const DecodedImage& image, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
    for (std::size_t i = 0; i < image.pixels.size(); i += 3)
        if (image.pixels[i] == r && image.pixels[i + 1] == g && image.pixels[i + 2] == b) return i / 3 / image.width;
    return image.height;
}

}  // namespace

TEST_CASE("a grid has all its pictures whole, in order, with labels in black") {
    host::Grid grid{{"steps: 10", "steps: 20"}, {"a boat", "a mill at night, in fog"}, {"seed: 1", "seed: 2"}, {}};
    for (int i = 0; i < 8; ++i) grid.cells.push_back(plain(64, 48, std::uint8_t(30 * i + 10), 200, 100));
    const auto drawn = host::draw_grid(grid);
    if (!drawn) FAIL(drawn.failure().message);
    REQUIRE(drawn->pixels.size() == std::size_t(3) * drawn->width * drawn->height);
    CHECK(drawn->width > 2 * 64);
    CHECK(drawn->height > 4 * 48);
    std::size_t row = 0;
    for (int i = 0; i < 8; ++i) {
        CHECK(pixels_of(*drawn, std::uint8_t(30 * i + 10), 200, 100) == 64 * 48);
        const std::size_t begins = first_row(*drawn, std::uint8_t(30 * i + 10), 200, 100);
        CHECK((i % 2 == 0 ? begins > row : begins == row));
        row = begins;
    }
    const std::size_t ink = pixels_of(*drawn, 0, 0, 0);
    CHECK(ink > 50);

    // Without labels there is nothing but the pictures and white around them.
    const auto bare = host::draw_grid({{}, {}, {}, {plain(64, 48, 9, 9, 9)}});
    REQUIRE(bare);
    CHECK(pixels_of(*bare, 9, 9, 9) == 64 * 48);
    CHECK(pixels_of(*bare, 255, 255, 255) == bare->pixels.size() / 3 - 64 * 48);
}

TEST_CASE("pictures of several sizes lie in the middle of their cells; too many are refused") {
    const auto drawn = host::draw_grid({{"1", "2"}, {}, {}, {plain(20, 20, 9, 9, 9), plain(60, 40, 8, 8, 8)}});
    REQUIRE(drawn);
    CHECK(pixels_of(*drawn, 9, 9, 9) == 20 * 20);
    CHECK(first_row(*drawn, 9, 9, 9) == first_row(*drawn, 8, 8, 8) + 10);

    host::Grid wide{std::vector<std::string>(9, "x"), {}, {}, std::vector<DecodedImage>(9, plain(4096, 1, 1, 1, 1))};
    const auto refused = host::draw_grid(wide);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().message ==
          "a grid of 36864x1 pixels: at most 32767 a side; ask for fewer or smaller pictures");
}
