#include <regex>

#include "diffusion/rng.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

constexpr Tolerance kDraw{2e-6, 0};
constexpr Tolerance kImage{1e-5, 0};

std::vector<std::uint64_t> list(const std::string& text, const std::string& pattern) {
    std::vector<std::uint64_t> values;
    std::smatch found;
    if (!std::regex_search(text, found, std::regex(pattern))) return values;
    const std::string inside = found[1];
    const std::regex number("\\d+");
    for (std::sregex_iterator it(inside.begin(), inside.end(), number), end; it != end; ++it)
        values.push_back(std::stoull(it->str()));
    return values;
}

/// torch_SEED_SHAPE, philox_SEED_SHAPE: the first draw of a fresh generator.
Status first_draw(Suite& suite, const std::string& file, RngKind kind, std::uint64_t seed, const std::string& name) {
    PUMICE_ASSIGN(const auto expected, suite.npy("rng/" + file));
    std::vector<float> got(expected.data.size());
    NoiseSource(kind, seed).normal(got);
    suite.compare(name, got, expected.data, kDraw);
    return {};
}

/// seq_KIND_SEED_0, _1, …: draws of one generator.
Status sequence(Suite& suite, const std::string& stem, RngKind kind, std::uint64_t seed) {
    NoiseSource source(kind, seed);
    for (int draw = 0; suite.exists("rng/" + stem + std::to_string(draw) + ".npy"); ++draw) {
        const std::string name = "rng/" + stem + std::to_string(draw);
        PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
        std::vector<float> got(expected.data.size());
        source.normal(got);
        if (suite.wanted(name)) suite.compare(name, got, expected.data, kDraw);
    }
    return {};
}

/// image_KIND_CASE: the generators of a batch of two; what they were given stands in the manifest.
Status image(Suite& suite, const std::string& file, const std::string& name) {
    PUMICE_ASSIGN(const auto expected, suite.npy("rng/" + file));
    const std::string text = suite.description("rng/" + file);
    const auto seeds = list(text, "[^b]seeds=\\[([^\\]]*)\\]");
    const auto variations = list(text, "'subseeds': \\[([^\\]]*)\\]");
    const auto delta = list(text, "ensd=(\\d+)");
    if (seeds.empty() || expected.shape.size() != 5 || expected.shape[1] != seeds.size())
        return Error{Code::bad_format, "the manifest does not tell the seeds"};
    NoiseOptions options;
    options.kind = file.find("_NV_") != std::string::npos ? RngKind::philox : RngKind::torch_cpu;
    options.seed = seeds[0];
    options.eta_seed_delta = delta.empty() ? 0 : delta[0];
    if (!variations.empty()) {
        std::smatch strength;
        std::regex_search(text, strength, std::regex("'subseed_strength': ([0-9.]+)"));
        options.variation_seed = variations[0];
        options.variation_strength = std::stof(strength[1]);
    }
    BatchNoise noise(options, static_cast<std::uint32_t>(seeds.size()));
    std::vector<float> got(expected.data.size());
    const std::size_t draw = got.size() / expected.shape[0];
    for (std::size_t i = 0; i < expected.shape[0]; ++i)
        noise.normal(std::span(got).subspan(i * draw, draw), static_cast<std::uint32_t>(expected.shape[2]),
                     static_cast<std::uint32_t>(expected.shape[3]), static_cast<std::uint32_t>(expected.shape[4]));
    suite.compare(name, got, expected.data, kImage);
    return {};
}

Status uniform(Suite& suite, const std::string& file, std::uint64_t seed, const std::string& name) {
    PUMICE_ASSIGN(const auto expected, suite.npy("rng/" + file));
    std::vector<float> got(expected.data.size());
    NoiseSource(RngKind::torch_cpu, seed).uniform(got);
    suite.compare(name, got, expected.data, kDraw);
    return {};
}

}  // namespace

void rng_cases(Suite& suite) {
    const std::regex first("(torch|philox)_(\\d+)_[0-9x]+\\.npy"), seq("(seq_(torch|philox)_(\\d+)_)0\\.npy"),
        rand("rand_torch_(\\d+)\\.npy"), batch("image_(CPU|NV)_(plain|subseed|ensd)\\.npy");
    for (const std::string& file : suite.files("rng")) {
        const std::string name = "rng/" + file.substr(0, file.size() - 4);
        const auto kind = [](const std::string& text) { return text == "torch" ? RngKind::torch_cpu : RngKind::philox; };
        std::smatch m;
        if (std::regex_match(file, m, first)) {
            if (suite.wanted(name))
                suite.run(name, [&] { return first_draw(suite, file, kind(m[1]), std::stoull(m[2]), name); });
        } else if (std::regex_match(file, m, seq)) {
            suite.run(name, [&] { return sequence(suite, m[1], kind(m[2]), std::stoull(m[3])); });
        } else if (std::regex_match(file, m, rand)) {
            if (suite.wanted(name)) suite.run(name, [&] { return uniform(suite, file, std::stoull(m[1]), name); });
        } else if (std::regex_match(file, m, batch)) {
            if (suite.wanted(name)) suite.run(name, [&] { return image(suite, file, name); });
        }
    }
}

}  // namespace pumice::goldens
