#include "models/bert_encoder.hpp"

#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "catch.hpp"
#include "ops/operator_run.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

constexpr std::uint32_t kWidth = 128, kHeads = 2, kInner = 96, kWords = 50, kPositions = 40, kLayers = 2;

using Values = std::vector<double>;

/// A small encoder of random weights: as a file, and as numbers.
class SmallBert {
public:
    SmallBert() {
        table("embeddings.word_embeddings.weight", kWords, kWidth, 1);
        table("embeddings.position_embeddings.weight", kPositions, kWidth, 1);
        table("embeddings.token_type_embeddings.weight", 2, kWidth, 1);
        norm("embeddings.LayerNorm");
        for (std::uint32_t i = 0; i < kLayers; ++i) {
            const std::string layer = fmt::format("encoder.layer.{}.", i);
            for (const char* part :
                 {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"})
                linear(layer + part, kWidth, kWidth);
            linear(layer + "intermediate.dense", kInner, kWidth);
            linear(layer + "output.dense", kWidth, kInner);
            norm(layer + "attention.output.LayerNorm");
            norm(layer + "output.LayerNorm");
        }
    }
    std::string file() const { return builder_.build(); }

    /// The states {T, kWidth} after `layers` layers, from the paper's formulas in double.
    Values run(const std::vector<std::int32_t>& tokens, std::uint32_t layers) const {
        const std::size_t count = tokens.size();
        Values x(count * kWidth);
        for (std::size_t t = 0; t < count; ++t)
            for (std::size_t c = 0; c < kWidth; ++c)
                x[t * kWidth + c] = at("embeddings.word_embeddings.weight")[std::size_t(tokens[t]) * kWidth + c] +
                                    at("embeddings.position_embeddings.weight")[t * kWidth + c] +
                                    at("embeddings.token_type_embeddings.weight")[c];
        x = normed("embeddings.LayerNorm", x);
        for (std::uint32_t i = 0; i < layers; ++i) {
            const std::string layer = fmt::format("encoder.layer.{}.", i);
            Values h =
                product(layer + "attention.output.dense", attention(layer + "attention.self.", x, count), kWidth);
            x = normed(layer + "attention.output.LayerNorm", sum(x, h));
            h = product(layer + "intermediate.dense", x, kInner);
            for (double& v : h) v = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
            x = normed(layer + "output.LayerNorm", sum(x, product(layer + "output.dense", h, kWidth)));
        }
        return x;
    }

private:
    void add(const std::string& name, std::vector<std::uint64_t> shape, std::vector<float> values) {
        builder_.add(name, "F32", std::move(shape), values);
        values_[name] = Values(values.begin(), values.end());
    }
    void table(const std::string& name, std::uint32_t rows, std::uint32_t columns, float scale) {
        add(name, {rows, columns}, random_.values(std::uint64_t(rows) * columns, scale));
    }
    void linear(const std::string& name, std::uint32_t n, std::uint32_t k) {
        table(name + ".weight", n, k, 3.0f / std::sqrt(static_cast<float>(k)));
        add(name + ".bias", {n}, random_.values(n, 0.3f));
    }
    void norm(const std::string& name) {
        std::vector<float> gamma = random_.values(kWidth, 0.3f);
        for (float& g : gamma) g += 1;
        add(name + ".weight", {kWidth}, gamma);
        add(name + ".bias", {kWidth}, random_.values(kWidth, 0.3f));
    }

    const Values& at(const std::string& name) const { return values_.at(name); }
    static Values sum(Values a, const Values& b) {
        for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
        return a;
    }
    Values product(const std::string& name, const Values& x, std::size_t n) const {
        const Values &w = at(name + ".weight"), &bias = at(name + ".bias");
        const std::size_t k = w.size() / n, rows = x.size() / k;
        Values y(rows * n);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < n; ++c) {
                double s = bias[c];
                for (std::size_t i = 0; i < k; ++i) s += x[r * k + i] * w[c * k + i];
                y[r * n + c] = s;
            }
        return y;
    }
    Values normed(const std::string& name, Values x) const {
        for (std::size_t r = 0; r < x.size(); r += kWidth) {
            double mean = 0, square = 0;
            for (std::size_t c = 0; c < kWidth; ++c) mean += x[r + c] / kWidth;
            for (std::size_t c = 0; c < kWidth; ++c) square += (x[r + c] - mean) * (x[r + c] - mean) / kWidth;
            for (std::size_t c = 0; c < kWidth; ++c)
                x[r + c] =
                    (x[r + c] - mean) / std::sqrt(square + 1e-12) * at(name + ".weight")[c] + at(name + ".bias")[c];
        }
        return x;
    }
    /// Every token sees every other.
    Values attention(const std::string& name, const Values& x, std::size_t count) const {
        const Values q = product(name + "query", x, kWidth), k = product(name + "key", x, kWidth);
        const Values v = product(name + "value", x, kWidth);
        constexpr std::size_t size = kWidth / kHeads;
        Values y(count * kWidth);
        for (std::size_t first = 0; first < kWidth; first += size)
            for (std::size_t t = 0; t < count; ++t) {
                Values score(count);
                double total = 0;
                for (std::size_t s = 0; s < count; ++s) {
                    for (std::size_t c = first; c < first + size; ++c)
                        score[s] += q[t * kWidth + c] * k[s * kWidth + c];
                    total += score[s] = std::exp(score[s] / std::sqrt(double(size)));
                }
                for (std::size_t s = 0; s < count; ++s)
                    for (std::size_t c = first; c < first + size; ++c)
                        y[t * kWidth + c] += score[s] / total * v[s * kWidth + c];
            }
        return y;
    }

    Random random_{11};
    FileBuilder builder_;
    std::map<std::string, Values> values_;
};

std::shared_ptr<KernelCache> shared_kernels() {
    return {std::shared_ptr<void>(), &gpu().kernels};  // the fixture owns it
}

}  // namespace

TEST_CASE("BERT's states are those of its formulas") {
    const SmallBert bert;
    const TemporaryFolder folder;
    write_file(folder / "bert", bert.file());
    const WeightFile file = need(WeightFile::open(folder / "bert"));
    TextConfig config;
    config.layout = TextLayout::bert;
    config.width = kWidth, config.layers = kLayers, config.heads = kHeads, config.ff_channels = kInner;
    config.vocabulary = kWords, config.positions = kPositions;

    std::vector<std::int32_t> tokens;
    for (std::uint32_t i = 0; i < kPositions; ++i) tokens.push_back(static_cast<std::int32_t>(i * 17 % kWords));
    for (const Precision precision : {Precision::exact, Precision::fp32})
        for (const std::uint32_t skip : {1u, 2u}) {
            WeightSet weights(gpu().device, shared_kernels(), file, "");
            OperatorRun r(precision);
            const TensorId in = r.input_raw({1, 1, kPositions, 1}, DType::i32, tokens);
            const TensorId y = bert_encoder(r.graph, weights, in, config, skip);
            need(weights.flush());
            const std::vector<float> states = r.run(y);
            const Values expected = bert.run(tokens, kLayers + 1 - skip);
            REQUIRE(states.size() == expected.size());
            double worst = 0;
            for (std::size_t i = 0; i < states.size(); ++i) worst = std::max(worst, std::abs(states[i] - expected[i]));
            INFO("skip " << skip);
            CHECK(worst < 2e-5);
        }
}

TEST_CASE("clip skip beyond BERT's layers is refused") {
    const SmallBert bert;
    const TemporaryFolder folder;
    write_file(folder / "bert", bert.file());
    const WeightFile file = need(WeightFile::open(folder / "bert"));
    WeightSet weights(gpu().device, shared_kernels(), file, "");
    OperatorRun r(Precision::fp32);
    TextConfig config;
    config.layers = kLayers;
    bert_encoder(r.graph, weights, r.input_raw({1, 1, 1, 1}, DType::i32, std::vector<std::int32_t>{1}), config, 3);
    REQUIRE(r.graph.error() != nullptr);
    CHECK(r.graph.error()->message == "clip skip 3 with a text encoder of 2 layers: use 1 to 2");
}
