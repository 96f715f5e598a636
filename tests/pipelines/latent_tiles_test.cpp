#include "pipelines/latent_tiles.hpp"

#include "catch.hpp"

using namespace pumice;

TEST_CASE("tiles cover an axis evenly, overlap enough, and count as one everywhere") {
    struct Case {
        std::uint32_t size, tile, overlap;
        bool wraps;
        std::size_t count;
    };
    for (const Case& c : {Case{48, 16, 8, false, 5}, Case{50, 16, 8, false, 6}, Case{16, 16, 8, false, 1},
                          Case{17, 16, 15, false, 2}, Case{9, 16, 8, false, 1}, Case{48, 16, 0, false, 3},
                          Case{48, 16, 8, true, 6}, Case{50, 16, 4, true, 5}}) {
        INFO(c.size << " " << c.tile << " " << c.overlap << " " << c.wraps);
        const auto starts = tile_starts(c.size, c.tile, c.overlap, c.wraps);
        CHECK(starts.size() == c.count);
        CHECK(starts.front() == 0);
        const std::uint32_t tile = std::min(c.tile, c.size);
        if (!c.wraps) CHECK(starts.back() + tile == c.size);
        for (std::size_t i = 0; i + 1 < starts.size(); ++i) CHECK(starts[i] + tile >= starts[i + 1] + c.overlap);
        const auto weights = tile_weights(c.size, tile, c.overlap, starts);
        REQUIRE(weights.size() == starts.size() * tile);
        std::vector<double> sums(c.size);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            CHECK(weights[i] > 0);
            sums[(starts[i / tile] + i % tile) % c.size] += double(weights[i]);
        }
        for (const double sum : sums) CHECK(sum == Approx(1).epsilon(1e-6));
        if (starts.size() == 1)
            for (const float weight : weights) CHECK(weight == 1.0f);
    }
    // Growing from a tile's end: no seam where one begins.
    const auto weights = tile_weights(24, 16, 8, {0, 8});
    CHECK(weights[16] == Approx(1.0 / 9));
    CHECK(weights[16 + 7] == Approx(8.0 / 9));
    CHECK(weights[0] == 1.0f);
}
