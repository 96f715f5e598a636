#include "pipelines/control_picture.hpp"

#include "catch.hpp"

using namespace pumice;

namespace {

/// Red of each pixel, in 255ths.
std::vector<float> reds(const std::vector<float>& values) {
    std::vector<float> all;
    for (std::size_t i = 0; i < values.size(); i += 4) {
        CHECK(values[i + 3] == 0);
        all.push_back(values[i] * 255);
    }
    return all;
}

std::vector<std::uint8_t> grey(const std::vector<std::uint8_t>& levels) {
    std::vector<std::uint8_t> rgb;
    for (const std::uint8_t level : levels) rgb.insert(rgb.end(), 3, level);
    return rgb;
}

std::vector<float> fit(const std::vector<std::uint8_t>& levels, std::uint32_t width, std::uint32_t height,
                       std::uint32_t to_width, std::uint32_t to_height, FitMode mode) {
    const auto values = fit_control_picture(grey(levels), width, height, to_width, to_height, mode);
    REQUIRE(values);
    REQUIRE(values->size() == std::size_t(to_width) * to_height * 4);
    return reds(*values);
}

bool near(const std::vector<float>& got, const std::vector<float>& want) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        if (std::abs(got[i] - want[i]) > 1e-3f) return false;
    return true;
}

}  // namespace

TEST_CASE("a control picture of the right size stays as it is") {
    for (const FitMode mode : {FitMode::stretch, FitMode::crop, FitMode::fill})
        CHECK(near(fit({10, 20, 30, 40, 50, 60}, 3, 2, 3, 2, mode), {10, 20, 30, 40, 50, 60}));
}

TEST_CASE("smaller is the mean of what is covered; larger keeps flat colours") {
    CHECK(near(fit({10, 20, 30, 40}, 4, 1, 2, 1, FitMode::stretch), {15, 35}));
    CHECK(near(fit({10, 20, 30}, 3, 1, 2, 1, FitMode::stretch), {13, 27}));  // (10 + 20 / 2) / 1.5, rounded
    CHECK(near(fit({7, 7, 7, 7}, 2, 2, 5, 3, FitMode::stretch), std::vector<float>(15, 7)));
}

TEST_CASE("crop keeps the middle, fill surrounds it with the border's colour") {
    // 4x2 to 2x2.
    const std::vector<std::uint8_t> wide = {10, 20, 30, 40, 10, 20, 30, 40};
    CHECK(near(fit(wide, 4, 2, 2, 2, FitMode::crop), {20, 30, 20, 30}));
    CHECK(near(fit(wide, 4, 2, 2, 2, FitMode::stretch), {15, 35, 15, 35}));
    // As 2x1 in the middle of 2x3; the median of its border of twelve pixels is 25.
    CHECK(near(fit(wide, 4, 2, 2, 3, FitMode::fill), {25, 25, 15, 35, 25, 25}));
}

TEST_CASE("edges stay edges") {
    for (const float v : fit({0, 255, 0, 0, 255, 0, 0, 255, 0}, 3, 3, 8, 8, FitMode::stretch))
        CHECK((v == 0 || v == 255));
    CHECK(fit_control_picture(grey({1, 2}), 3, 1, 8, 8, FitMode::crop).error().code == Code::invalid_argument);
}
