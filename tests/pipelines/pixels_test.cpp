#include "pipelines/pixels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "catch.hpp"
#include "pipelines/source_picture.hpp"

using namespace pumice;

namespace {

/// A picture without symmetry: every pixel tells where it is.
Pixels pattern(std::uint32_t width, std::uint32_t height, std::uint32_t channels) {
    Pixels p = make_pixels(width, height, channels);
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (std::uint32_t c = 0; c < channels; ++c)
                p.at(x, y)[c] = static_cast<std::uint8_t>((x * 37 + y * 61 + c * 90 + x * y * 3) % 256);
    return p;
}

Pixels flat(std::uint32_t width, std::uint32_t height, std::uint32_t channels, std::uint8_t value) {
    Pixels p = make_pixels(width, height, channels);
    std::fill(p.bytes.begin(), p.bytes.end(), value);
    return p;
}

/// A mask that is white in [x0, x1) x [y0, y1).
Pixels rectangle(std::uint32_t width, std::uint32_t height, std::uint32_t x0, std::uint32_t y0, std::uint32_t x1,
                 std::uint32_t y1) {
    Pixels p = make_pixels(width, height, 1);
    for (std::uint32_t y = y0; y < y1; ++y)
        for (std::uint32_t x = x0; x < x1; ++x) *p.at(x, y) = 255;
    return p;
}

double filter(ResizeFilter f, double x) {
    x = std::abs(x);
    const double pi = std::acos(-1.0);
    if (f == ResizeFilter::lanczos)
        return x == 0 ? 1 : x < 3 ? std::sin(pi * x) / (pi * x) * std::sin(pi * x / 3) / (pi * x / 3) : 0;
    if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
    return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/// The defining sum in double, clamped between the axes as 8 bits are.
std::vector<double> resampled(const Pixels& p, std::uint32_t width, std::uint32_t height, ResizeFilter f) {
    const auto axis = [&](const std::vector<double>& in, std::uint32_t n, std::uint32_t to) {
        const double scale = double(n) / to, stretch = std::max(1.0, scale);
        std::vector<double> out(to);
        for (std::uint32_t i = 0; i < to; ++i) {
            double sum = 0, weights = 0;
            for (std::uint32_t k = 0; k < n; ++k) {
                const double w = filter(f, (k + 0.5 - (i + 0.5) * scale) / stretch);
                sum += w * in[k], weights += w;
            }
            out[i] = std::clamp(sum / weights, 0.0, 255.0);
        }
        return out;
    };
    std::vector<double> rows(std::size_t(width) * p.height);
    for (std::uint32_t y = 0; y < p.height; ++y) {
        std::vector<double> line(p.at(0, y), p.at(0, y) + p.width);
        const auto out = p.width == width ? line : axis(line, p.width, width);
        std::copy(out.begin(), out.end(), rows.begin() + std::ptrdiff_t(y) * width);
    }
    std::vector<double> all(std::size_t(width) * height);
    for (std::uint32_t x = 0; x < width; ++x) {
        std::vector<double> line(p.height);
        for (std::uint32_t y = 0; y < p.height; ++y) line[y] = rows[std::size_t(y) * width + x];
        const auto out = p.height == height ? line : axis(line, p.height, height);
        for (std::uint32_t y = 0; y < height; ++y) all[std::size_t(y) * width + x] = out[y];
    }
    return all;
}

}  // namespace

TEST_CASE("resampling is the filter's sum", "[pipelines]") {
    const Pixels p = pattern(23, 17, 1);
    for (const ResizeFilter f : {ResizeFilter::bicubic, ResizeFilter::lanczos})
        for (const auto& [w, h] : {std::pair{23u, 17u}, {46u, 17u}, {9u, 31u}, {5u, 4u}, {64u, 64u}}) {
            INFO(w << "x" << h);
            const Pixels got = resample(p, w, h, f);
            const std::vector<double> want = resampled(p, w, h, f);
            double worst = 0;
            for (std::size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got.bytes[i] - want[i]));
            CHECK(worst <= 1.6);  // rounded twice
        }
    const Pixels gray = flat(7, 5, 3, 200);
    CHECK(resample(gray, 20, 3, ResizeFilter::lanczos).bytes == flat(20, 3, 3, 200).bytes);
}

TEST_CASE("resize modes keep or change the shape", "[pipelines]") {
    // Twice as wide as high: the left half 0, the right half 255.
    Pixels p = make_pixels(40, 20, 3);
    for (std::uint32_t y = 0; y < 20; ++y)
        for (std::uint32_t x = 20; x < 40; ++x) std::fill_n(p.at(x, y), 3, std::uint8_t(255));
    const auto column = [](const Pixels& of, std::uint32_t x) { return int(*of.at(x, of.height / 2)); };

    const Pixels stretched = resize(p, 20, 20, ResizeMode::stretch);
    CHECK(column(stretched, 2) == 0);
    CHECK(column(stretched, 17) == 255);
    const Pixels cut = resize(p, 20, 20, ResizeMode::crop);
    CHECK(cut.bytes == crop(p, {10, 0, 20, 20}).bytes);
    // Half as large, 10 high in the middle of 20, with its first and last rows above and below.
    const Pixels filled = resize(p, 20, 20, ResizeMode::fill);
    CHECK(filled.width == 20);
    CHECK(std::equal(filled.at(0, 0), filled.at(0, 1), filled.at(0, 5)));
    CHECK(int(*filled.at(2, 0)) == 0);
    CHECK(int(*filled.at(17, 19)) == 255);
    for (const ResizeMode mode : {ResizeMode::stretch, ResizeMode::crop, ResizeMode::fill})
        CHECK(resize(p, 40, 20, mode).bytes == p.bytes);
}

TEST_CASE("a blur keeps what is flat and spreads what is not", "[pipelines]") {
    CHECK(gaussian_blur(flat(9, 9, 1, 77), 4).bytes == flat(9, 9, 1, 77).bytes);
    const Pixels p = rectangle(41, 41, 20, 20, 21, 21);
    CHECK(gaussian_blur(p, 0).bytes == p.bytes);
    const Pixels blurred = gaussian_blur(p, 1);
    // The Gaussian of deviation 1 in its middle: 255 * (1 / 2.5066)^2.
    CHECK(int(*blurred.at(20, 20)) == Approx(255 / (2.5066 * 2.5066)).margin(1.5));
    CHECK(*blurred.at(18, 20) == *blurred.at(22, 20));
    CHECK(*blurred.at(20, 18) == *blurred.at(18, 20));
    CHECK(int(*blurred.at(24, 20)) == 0);
}

TEST_CASE("a picture with margins has its edges drawn out", "[pipelines]") {
    Pixels in = make_pixels(2, 2, 1);
    in.bytes = {1, 2, 3, 4};
    const Pixels out = extend(in, {.left = 1, .top = 0, .right = 2, .bottom = 1});
    CHECK(out.width == 5);
    CHECK(out.height == 3);
    CHECK(out.bytes == std::vector<std::uint8_t>{1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 3, 3, 4, 4, 4});
}

TEST_CASE("filling takes the colours around the mask", "[pipelines]") {
    Pixels p = flat(64, 64, 3, 40);
    for (std::uint32_t y = 24; y < 40; ++y)
        for (std::uint32_t x = 24; x < 40; ++x) std::fill_n(p.at(x, y), 3, std::uint8_t(250));
    const Pixels filled = fill_masked(p, rectangle(64, 64, 24, 24, 40, 40));
    CHECK(std::all_of(filled.bytes.begin(), filled.bytes.end(), [](int v) { return std::abs(v - 40) <= 1; }));
    const Pixels other = pattern(32, 32, 3);
    CHECK(fill_masked(other, flat(32, 32, 1, 0)).bytes == other.bytes);
}

TEST_CASE("the region around a mask has the picture's shape", "[pipelines]") {
    const auto region = [](const Pixels& mask, std::uint32_t padding, std::uint32_t w, std::uint32_t h) {
        const Region r = masked_region(mask, padding, w, h);
        return std::vector<std::uint32_t>{r.x, r.y, r.width, r.height};
    };
    const Pixels mask = rectangle(200, 100, 80, 40, 100, 50);
    CHECK(region(mask, 0, 512, 512) == std::vector<std::uint32_t>{80, 35, 20, 20});
    CHECK(region(mask, 10, 512, 512) == std::vector<std::uint32_t>{70, 25, 40, 40});
    CHECK(region(mask, 10, 1024, 512) == std::vector<std::uint32_t>{60, 30, 60, 30});
    CHECK(region(rectangle(200, 100, 0, 0, 40, 10), 0, 512, 512) == std::vector<std::uint32_t>{0, 0, 40, 40});
    CHECK(region(rectangle(200, 100, 0, 0, 200, 10), 32, 512, 512) == std::vector<std::uint32_t>{0, 0, 200, 100});
    CHECK(region(flat(30, 20, 1, 0), 5, 512, 512) == std::vector<std::uint32_t>{0, 0, 30, 20});
}

TEST_CASE("luma and laying over", "[pipelines]") {
    const Pixels p{2, 1, 3, {255, 0, 0, 10, 200, 30}};
    CHECK(to_gray(p).bytes == std::vector<std::uint8_t>{76, 124});
    const Pixels under = flat(3, 1, 3, 10), over = flat(3, 1, 3, 210);
    CHECK(lay_over(under, over, {3, 1, 1, {0, 255, 128}}).bytes ==
          std::vector<std::uint8_t>{10, 10, 10, 210, 210, 210, 110, 110, 110});
}

TEST_CASE("a source picture: what is painted, and what is laid back", "[pipelines]") {
    PictureInput in;
    in.image = pattern(96, 64, 3);
    in.mask = rectangle(96, 64, 40, 24, 56, 40);
    in.mask_blur = 0;
    const auto prepared = [&](std::uint32_t w, std::uint32_t h) {
        auto made = SourcePicture::prepare(in, w, h);
        if (!made) FAIL(made.error().message);
        return *std::move(made);
    };
    SECTION("outside of the mask every pixel is as it was") {
        const SourcePicture source = prepared(96, 64);
        CHECK(source.image().bytes == in.image.bytes);
        const std::vector<float> mask = source.latent_mask(8, 12);
        CHECK(std::accumulate(mask.begin(), mask.end(), 0.0f) == 4);
        CHECK(mask[3 * 12 + 5] == 1);
        const Pixels out = source.compose(flat(96, 64, 3, 9));
        for (std::uint32_t y = 0; y < 64; ++y)
            for (std::uint32_t x = 0; x < 96; ++x) {
                const bool masked = x >= 40 && x < 56 && y >= 24 && y < 40;
                REQUIRE(int(*out.at(x, y)) == (masked ? 9 : int(*in.image.at(x, y))));
            }
        CHECK(int(*source.masked_image().at(41, 30)) == 127);
        CHECK(*source.masked_image().at(39, 30) == *in.image.at(39, 30));
    }
    SECTION("only what is masked, at another size") {
        in.only_masked = true;
        in.padding = 8;
        const SourcePicture source = prepared(128, 128);
        CHECK(source.image().width == 128);
        CHECK(source.mask().width == 128);
        const Pixels out = source.compose(flat(128, 128, 3, 9));
        CHECK(out.width == 96);
        CHECK(int(*out.at(48, 32)) == 9);
        CHECK(*out.at(30, 32) == *in.image.at(30, 32));
    }
    SECTION("without a mask") {
        in.mask = {};
        const SourcePicture source = prepared(64, 64);
        CHECK(source.image().width == 64);
        CHECK(source.mask().empty());
        CHECK(source.compose(flat(64, 64, 3, 5)).bytes == flat(64, 64, 3, 5).bytes);
    }
    SECTION("filled") {
        in.image = flat(96, 64, 3, 40);
        std::fill_n(in.image.at(45, 30), 3, std::uint8_t(255));
        in.fill = MaskFill::fill;
        const SourcePicture source = prepared(96, 64);
        CHECK(std::abs(int(*source.image().at(45, 30)) - 40) <= 1);
    }
}

TEST_CASE("source pictures that cannot be are refused by name", "[pipelines]") {
    const auto refused = [](PictureInput in, const std::string& part) {
        const auto made = SourcePicture::prepare(in, 64, 64);
        REQUIRE_FALSE(made);
        CHECK(made.error().code == Code::invalid_argument);
        INFO(made.error().message);
        CHECK(made.error().message.find(part) != std::string::npos);
    };
    PictureInput in;
    in.image = pattern(16, 16, 3);
    refused({}, "the picture to begin with");
    in.strength = 1.5f;
    refused(in, "strength 1.5: use 0 to 1");
    in.strength = std::nanf("");
    refused(in, "strength nan");
    in.strength = 0.5f;
    in.mask_blur = 65;
    refused(in, "mask blur 65");
    in.mask_blur = 4;
    in.image_scale = -1;
    refused(in, "image guidance scale -1");
    in.image_scale = 1;
    in.mask = {4, 4, 1, {1, 2}};
    refused(in, "the mask is damaged");
}

TEST_CASE("strength cuts off the first noise levels as AUTOMATIC1111 does", "[pipelines]") {
    std::vector<float> sigmas(11);
    for (std::size_t i = 0; i < sigmas.size(); ++i) sigmas[i] = static_cast<float>(10 - i);
    const auto first = [&](double strength) { return sigmas_for_strength(sigmas, 10, strength).front(); };
    CHECK(first(0.6) == 7);  // t = 6: seven steps
    CHECK(first(0.75) == 8);
    CHECK(first(1) == 10);  // min(1, 0.999) * 10 = 9
    CHECK(first(0) == 1);   // one step, from the last level
    // Of samplers over time steps, whose levels end above 0, t of them.
    sigmas.pop_back();
    CHECK(sigmas_for_strength(sigmas, 10, 0.6).size() == 6);
    CHECK(sigmas_for_strength(sigmas, 10, 0).size() == 2);
}

TEST_CASE("a strength counts steps as it was written", "[pipelines]") {
    CHECK(as_written(0.7f) == 0.7);
    CHECK(as_written(0.55f) == 0.55);
    CHECK(as_written(1.0f) == 1.0);
    std::vector<float> levels(11);
    std::iota(levels.rbegin(), levels.rend(), 0.0f);
    CHECK(sigmas_for_strength(levels, 10, as_written(0.7f)).size() == 9);
    CHECK(last_sigmas(levels, 6) == std::vector<float>(levels.begin() + 3, levels.end()));
}
