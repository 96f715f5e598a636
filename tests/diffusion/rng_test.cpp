#include "diffusion/rng.hpp"

#include <string>
#include <vector>

#include "diffusion/golden.hpp"

namespace {

using namespace pumice;

constexpr double kNoiseTolerance = 2e-6, kImageTolerance = 1e-5;

RngKind kind_of(const std::string& name) {
    return name == "torch" ? RngKind::torch_cpu : RngKind::philox;
}

/// A stored first draw: "torch_42_1x4x8x8" or "philox_…".
struct FirstDraw {
    std::string name, kind;
    std::uint64_t seed = 0;
};

std::vector<FirstDraw> first_draws() {
    std::vector<FirstDraw> draws;
    for (const auto& entry : std::filesystem::directory_iterator(golden_path("rng/x").parent_path())) {
        const std::string name = entry.path().stem().string();
        const std::size_t first = name.find('_'), second = name.find('_', first + 1);
        const std::string kind = name.substr(0, first);
        if (kind != "torch" && kind != "philox") continue;
        draws.push_back({name, kind, std::stoull(name.substr(first + 1, second - first - 1))});
    }
    std::sort(draws.begin(), draws.end(), [](const FirstDraw& a, const FirstDraw& b) { return a.name < b.name; });
    return draws;
}

}  // namespace

TEST_CASE("the Mersenne Twister's words and uniform numbers are torch's") {
    for (const char* seed : {"42", "1234567890"}) {
        INFO("seed " << seed);
        Mt19937 twister(static_cast<std::uint32_t>(std::stoull(seed)));
        const auto words = golden<std::int64_t>(std::string("rng/u32_torch_") + seed);
        std::vector<std::int64_t> got;
        for (std::size_t i = 0; i < words.data.size(); ++i) {
            twister.next();  // torch.randint over 2^32 takes two words and keeps the second
            got.push_back(twister.next());
        }
        CHECK(got == words.data);
        const auto uniform = golden(std::string("rng/rand_torch_") + seed);
        std::vector<float> numbers(uniform.data.size());
        NoiseSource(RngKind::torch_cpu, std::stoull(seed)).uniform(numbers);
        CHECK(numbers == uniform.data);
    }
}

TEST_CASE("the first draw of a generator, every seed and size") {
    const std::vector<FirstDraw> draws = first_draws();
    REQUIRE(draws.size() == 74);
    for (const FirstDraw& draw : draws) {
        INFO(draw.name);
        const auto expected = golden("rng/" + draw.name);
        std::vector<float> got(expected.data.size());
        NoiseSource(kind_of(draw.kind), draw.seed).normal(got);
        CHECK(worst_error(got, expected.data, kNoiseTolerance, 0) <= 1);
    }
}

TEST_CASE("draws of other sizes follow each other") {
    for (const std::string kind : {"torch", "philox"}) {
        for (const std::string seed : {"42", "1234567890"}) {
            NoiseSource source(kind_of(kind), std::stoull(seed));
            for (int draw = 0; draw < 8; ++draw) {
                INFO(kind << " seed " << seed << " draw " << draw);
                const auto expected = golden("rng/seq_" + kind + "_" + seed + "_" + std::to_string(draw));
                std::vector<float> got(expected.data.size());
                source.normal(got);
                CHECK(worst_error(got, expected.data, kNoiseTolerance, 0) <= 1);
            }
        }
    }
}

TEST_CASE("a batch draws as A1111's ImageRNG") {
    for (const std::string kind : {"CPU", "NV"}) {
        for (const std::string variant : {"plain", "ensd", "subseed"}) {
            INFO(kind << " " << variant);
            NoiseOptions options{.kind = kind == "CPU" ? RngKind::torch_cpu : RngKind::philox, .seed = 1234};
            if (variant == "ensd") options.eta_seed_delta = 31337;
            if (variant == "subseed") {
                options.variation_seed = 1239;
                options.variation_strength = 0.3f;
            }
            BatchNoise noise(options, 2);
            const auto expected = golden("rng/image_" + kind + "_" + variant);  // {draw, image, 4, 8, 8}
            std::vector<float> got(expected.data.size());
            const std::size_t draw = got.size() / 3;
            for (std::size_t i = 0; i < 3; ++i) noise.normal(std::span(got).subspan(i * draw, draw), 4, 8, 8);
            CHECK(worst_error(got, expected.data, kImageTolerance, 0) <= 1);
        }
    }
}

TEST_CASE("a picture of a batch has the noise it would have alone") {
    for (const RngKind kind : {RngKind::torch_cpu, RngKind::philox}) {
        BatchNoise batch({.kind = kind, .seed = 7}, 3), alone({.kind = kind, .seed = 9}, 1);
        std::vector<float> three(3 * 4 * 5 * 6), one(4 * 5 * 6);
        for (int draw = 0; draw < 2; ++draw) {
            batch.normal(three, 4, 5, 6);
            alone.normal(one, 4, 5, 6);
            CHECK(std::equal(one.begin(), one.end(), three.begin() + 2 * 4 * 5 * 6));
        }
    }
}
