#include "pipelines/hires.hpp"

#include <algorithm>

#include "catch.hpp"

using namespace pumice;

TEST_CASE("latents are enlarged as bilinear interpolation defines it", "[pipelines]") {
    // Two pictures of one row of two and four channels: numbers tell where they are.
    const Shape shape{2, 1, 2, 4};
    std::vector<float> nchw;
    for (int n = 0; n < 2; ++n)
        for (int c = 0; c < 4; ++c)
            for (int x = 0; x < 2; ++x) nchw.push_back(static_cast<float>(100 * n + 10 * c + 4 * x));
    const std::vector<float> out = enlarge_latents(nchw, shape, 2, 4);
    REQUIRE(out.size() == 2 * 2 * 4 * 4);
    const float across[] = {0, 1, 3, 4};  // half pixel centres, edges drawn out
    for (std::size_t i = 0; i < out.size(); ++i)
        CHECK(out[i] == static_cast<float>(100 * (i / 32) + 10 * (i % 4)) + across[i / 4 % 4]);
}

TEST_CASE("the same size leaves latents as they are", "[pipelines]") {
    const std::vector<float> nchw{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};  // {1, 4, 2, 2}
    const std::vector<float> out = enlarge_latents(nchw, {1, 2, 2, 4}, 2, 2);
    for (std::size_t c = 0; c < 4; ++c)
        for (std::size_t i = 0; i < 4; ++i) CHECK(out[i * 4 + c] == nchw[c * 4 + i]);
}

TEST_CASE("the steps of which a second pass does the last", "[pipelines]") {
    CHECK(whole_steps(10, 0.5) == 20);
    CHECK(whole_steps(7, 0.7) == 10);
    CHECK(whole_steps(5, 1) == 5);
}
