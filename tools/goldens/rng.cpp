#include <regex>

#include "base/exact_math.hpp"
#include "diffusion/brownian.hpp"
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

/// u32_torch_SEED: every second word of the generator, which is the one that a random integer below 2^32 keeps.
Status words(Suite& suite, const std::string& file, std::uint64_t seed, const std::string& name) {
    PUMICE_ASSIGN(const auto expected, read_npy<std::int64_t>(suite.path("rng/" + file)));
    Mt19937 twister(static_cast<std::uint32_t>(seed));
    bool same = !expected.data.empty();
    for (const std::int64_t word : expected.data) {
        twister.next();
        same = twister.next() == static_cast<std::uint64_t>(word) && same;
    }
    suite.exact(name, same, std::to_string(expected.data.size()));
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
    const auto rows = list(text, "'seed_resize_from_h': (\\d+)"), columns = list(text, "'seed_resize_from_w': (\\d+)");
    if (!rows.empty() && !columns.empty()) {
        options.resized_rows = static_cast<std::uint32_t>(rows[0] / 8);
        options.resized_columns = static_cast<std::uint32_t>(columns[0] / 8);
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

/// brownian_N: increments between consecutive levels of brownian_sigmas for N pictures of seeds 1234, …; brownian_N_mid,
/// asked afterwards: from each level to its logarithmic middle with the next.
Status brownian(Suite& suite, const std::string& name) {
    PUMICE_ASSIGN(const auto levels, suite.npy("rng/brownian_sigmas.npy"));
    suite.helper("rng/brownian_sigmas");
    PUMICE_ASSIGN(const auto whole, suite.npy(name + ".npy"));
    PUMICE_ASSIGN(const auto half, suite.npy(name + "_mid.npy"));
    const std::size_t intervals = whole.shape[0], pictures = whole.shape[1];
    const std::size_t count = whole.data.size() / intervals / pictures;
    const double highest = double(levels.data[0]), lowest = double(levels.data[intervals]);
    std::vector<BrownianTree> trees;
    for (std::size_t i = 0; i < pictures; ++i) trees.emplace_back(1234 + i, count, lowest, highest);
    std::vector<float> got(whole.data.size()), middles(half.data.size());
    for (std::size_t i = 0; i < intervals; ++i)
        for (std::size_t p = 0; p < pictures; ++p)
            trees[p].increment(double(levels.data[i]), double(levels.data[i + 1]),
                               std::span(got).subspan((i * pictures + p) * count, count));
    for (std::size_t i = 0; i < half.shape[0]; ++i) {
        // As DPM++ SDE finds them, each step rounded to float32: over t = -log sigma and back.
        const auto t = static_cast<float>(-exact::log(double(levels.data[i])));
        const auto next = static_cast<float>(-exact::log(double(levels.data[i + 1])));
        const float between = t + 0.5f * (next - t);
        const auto from = static_cast<float>(exact::exp(double(-t)));
        const auto middle = static_cast<float>(exact::exp(double(-between)));
        for (std::size_t p = 0; p < pictures; ++p)
            trees[p].increment(double(from), double(middle), std::span(middles).subspan((i * pictures + p) * count, count));
    }
    if (suite.wanted(name)) suite.compare(name, got, whole.data, kImage);
    if (suite.wanted(name + "_mid")) suite.compare(name + "_mid", middles, half.data, kImage);
    return {};
}

}  // namespace

void rng_cases(Suite& suite) {
    const std::regex first("(torch|philox)_(\\d+)_[0-9x]+\\.npy"), seq("(seq_(torch|philox)_(\\d+)_)0\\.npy"),
        rand("rand_torch_(\\d+)\\.npy"), raw("u32_torch_(\\d+)\\.npy"), path("brownian_\\d+\\.npy"),
        batch("image_(CPU|NV)_(plain|subseed|ensd|resize|resize_up)\\.npy");
    for (const std::string& file : suite.files("rng")) {
        const std::string name = "rng/" + file.substr(0, file.size() - 4);
        const auto kind = [](const std::string& text) { return text == "torch" ? RngKind::torch_cpu : RngKind::philox; };
        std::smatch m;
        if (std::regex_match(file, m, first)) {
            if (suite.wanted(name))
                suite.run(name, [&] { return first_draw(suite, file, kind(m[1]), std::stoull(m[2]), name); });
        } else if (std::regex_match(file, m, seq)) {
            suite.run(name, [&] { return sequence(suite, m[1], kind(m[2]), std::stoull(m[3])); });
        } else if (std::regex_match(file, m, path)) {
            suite.run(name, [&] { return brownian(suite, name); });
        } else if (std::regex_match(file, m, rand)) {
            if (suite.wanted(name)) suite.run(name, [&] { return uniform(suite, file, std::stoull(m[1]), name); });
        } else if (std::regex_match(file, m, raw)) {
            if (suite.wanted(name)) suite.run(name, [&] { return words(suite, file, std::stoull(m[1]), name); });
        } else if (std::regex_match(file, m, batch)) {
            if (suite.wanted(name)) suite.run(name, [&] { return image(suite, file, name); });
        }
    }
}

}  // namespace pumice::goldens
