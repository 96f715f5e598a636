#include "ops/attention.hpp"

#include <algorithm>
#include <cmath>

#include "ops/exact_reference.hpp"
#include "ops/operator_run.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

struct Case {
    std::uint32_t n, queries, keys, heads, head;
    bool causal = false;
    Limits limits{};
};
const Case kCases[] = {{2, 64, 64, 8, 160},
                       {2, 64, 77, 8, 160},  // a UNet's deepest level, self and cross
                       {1, 100, 100, 8, 40},
                       {1, 33, 77, 8, 40},
                       {1, 40, 50, 8, 80},
                       {2, 77, 77, 12, 64, true},  // CLIP
                       {1, 70, 70, 1, 512},        // VAE
                       {2, 33, 17, 4, 4},          // the goldens' tiny models
                       {2, 9, 9, 2, 4, true},
                       {1, 1, 1, 1, 4},
                       {1, 3, 200, 2, 68},  // 17 quads: parts of unequal width
                       {1, 11, 13, 1, 1024},
                       {2, 150, 64, 2, 8, false, {.binding_bytes = 8192}},  // queries cut by the binding limit
                       {2, 150, 150, 2, 8, true, {.gflops = 1e-5}}};        // … and by time

std::vector<double> reference(const Case& c, const std::vector<float>& q, const std::vector<float>& k,
                              const std::vector<float>& v) {
    const std::size_t width = std::size_t(c.heads) * c.head;
    std::vector<double> y(q.size());
    std::vector<double> s(c.keys);
    for (std::size_t n = 0; n < c.n; ++n)
        for (std::size_t h = 0; h < c.heads; ++h)
            for (std::size_t i = 0; i < c.queries; ++i) {
                const float* qi = &q[(n * c.queries + i) * width + h * c.head];
                const std::size_t seen = c.causal ? std::min<std::size_t>(i + 1, c.keys) : c.keys;
                double top = -1e300, sum = 0;
                for (std::size_t j = 0; j < seen; ++j) {
                    const float* kj = &k[(n * c.keys + j) * width + h * c.head];
                    double dot = 0;
                    for (std::size_t d = 0; d < c.head; ++d) dot += double(qi[d]) * kj[d];
                    s[j] = dot / std::sqrt(double(c.head));
                    top = std::max(top, s[j]);
                }
                for (std::size_t j = 0; j < seen; ++j) sum += s[j] = std::exp(s[j] - top);
                for (std::size_t d = 0; d < c.head; ++d) {
                    double o = 0;
                    for (std::size_t j = 0; j < seen; ++j) o += s[j] * v[(n * c.keys + j) * width + h * c.head + d];
                    y[(n * c.queries + i) * width + h * c.head + d] = o / sum;
                }
            }
    return y;
}

/// The exact kernel's own steps: shaders/attention.comp.
std::vector<float> bits(const Case& c, const std::vector<float>& q, const std::vector<float>& k,
                        const std::vector<float>& v) {
    ops::ExactFunctions exact;
    const std::size_t width = std::size_t(c.heads) * c.head, block = 8 * ops::attention_split(c.head);
    const float scale = 1 / std::sqrt(float(c.head)), masked = -1e30f;
    std::vector<float> y(q.size()), s(block);
    for (std::size_t n = 0; n < c.n; ++n)
        for (std::size_t h = 0; h < c.heads; ++h)
            for (std::size_t i = 0; i < c.queries; ++i) {
                const float* qi = &q[(n * c.queries + i) * width + h * c.head];
                std::vector<float> o(c.head);
                float top = masked, total = 0;
                for (std::size_t first = 0; first < c.keys; first += block) {
                    const float before = top;
                    for (std::size_t j = 0; j < block; ++j) {
                        const std::size_t key = first + j;
                        s[j] = 0;
                        const float* kj =
                            &k[(n * c.keys + std::min<std::size_t>(key, c.keys - 1)) * width + h * c.head];
                        for (std::size_t d = 0; d < c.head; ++d) s[j] = s[j] + qi[d] * kj[d];
                        s[j] = key < c.keys && (!c.causal || key <= i) ? s[j] * scale : masked;
                        top = std::max(top, s[j]);
                    }
                    const float fade = exact.exact_exp(before - top);
                    total = total * fade;
                    for (float& each : o) each = each * fade;
                    for (std::size_t j = 0; j < block; ++j) {
                        const float weight = exact.exact_exp(s[j] - top);
                        total = total + weight;
                        const float* vj =
                            &v[(n * c.keys + std::min<std::size_t>(first + j, c.keys - 1)) * width + h * c.head];
                        for (std::size_t d = 0; d < c.head; ++d) o[d] = o[d] + weight * vj[d];
                    }
                }
                for (std::size_t d = 0; d < c.head; ++d)
                    y[(n * c.queries + i) * width + h * c.head + d] = o[d] * exact.exact_recip(total);
            }
    return y;
}

}  // namespace

TEST_CASE("attention in every legal variant", "[ops]") {
    for (const Precision p : {Precision::exact, Precision::fp32, Precision::fp16})
        for (const Case& c : kCases) {
            const std::uint32_t width = c.heads * c.head;
            const Shape sq{c.n, 1, c.queries, width}, sk{c.n, 1, c.keys, width};
            const DType type = p == Precision::fp16 ? DType::f16 : DType::f32;
            const auto q = stored(normal_values(sq.elements(), 1), type);
            const auto k = stored(normal_values(sk.elements(), 2), type);
            const auto v = stored(normal_values(sk.elements(), 3), type);
            const auto want = reference(c, q, k, v);
            const auto want_bits = bits(c, q, k, v);
            auto variants = ops::attention_variants(gpu().device->caps(), c.head, type);
            REQUIRE(!variants.empty());
            // Compiling is what takes the time here, seconds a variant on narrow vectors: large heads, of many parts,
            // in the variant that is used.
            if (c.head > (gpu().device->caps().subgroup_size < 8 ? 40 : 80)) variants.resize(1);
            for (const ops::AttentionVariant& variant : variants) {
                INFO(name(p) << ": " << c.queries << " x " << c.keys << ", " << c.heads << " x " << c.head << ", rows "
                             << variant.rows << " lanes " << variant.lanes << (variant.pair ? " pair" : ""));
                OperatorRun t(p, c.limits);
                const TensorId y = ops::attention_with(t.graph, t.input(sq, q), t.input(sk, k), t.input(sk, v),
                                                       {.heads = c.heads, .causal = c.causal}, variant);
                t.run({y});
                if (p == Precision::exact) check_same_bits(t.floats(y), want_bits);
                check_close(t.floats(y), want, p == Precision::fp16 ? 2e-3 : 1e-5, p == Precision::fp16 ? 1e-3 : 1e-5);
            }
        }
}

TEST_CASE("attention of a long sequence with large scores", "[ops]") {
    // Maxima rise all along, so that every block rescales; scores reach far beyond what exp holds.
    const Case c{1, 8, 3000, 1, 8};
    for (const Precision p : {Precision::exact, Precision::fp32, Precision::fp16}) {
        const Shape sq{1, 1, c.queries, 8}, sk{1, 1, c.keys, 8};
        OperatorRun t(p);
        const auto q = stored(normal_values(sq.elements(), 1, 4), t.graph.activation());
        auto keys = normal_values(sk.elements(), 2);
        for (std::size_t i = 0; i < keys.size(); ++i) keys[i] *= 0.002f * float(i / 8);
        const auto k = stored(keys, t.graph.activation());
        const auto v = stored(normal_values(sk.elements(), 3), t.graph.activation());
        const TensorId y = ops::attention(t.graph, t.input(sq, q), t.input(sk, k), t.input(sk, v), {});
        t.run({y});
        if (p == Precision::exact) check_same_bits(t.floats(y), bits(c, q, k, v));
        check_close(t.floats(y), reference(c, q, k, v), p == Precision::fp16 ? 2e-3 : 3e-5, 1e-3);
    }
}

TEST_CASE("attention with a scale of its own", "[ops]") {
    OperatorRun t(Precision::fp32);
    const Shape s{1, 1, 5, 4};
    const auto x = normal_values(s.elements(), 1), v = normal_values(s.elements(), 2);
    auto scaled = x;
    for (float& each : scaled) each *= 1.5f * 2;  // the default scale is 1/2
    const TensorId y = ops::attention(t.graph, t.input(s, x), t.input(s, x), t.input(s, v), {.scale = 1.5f});
    const TensorId z = ops::attention(t.graph, t.input(s, scaled), t.input(s, x), t.input(s, v), {});
    t.run({y, z});
    const auto want = t.floats(z);
    check_close(t.floats(y), std::vector<double>(want.begin(), want.end()), 1e-6, 1e-6);
}

TEST_CASE("attention names what it cannot do", "[ops]") {
    const auto error = [](const Shape& q, const Shape& k, std::uint32_t heads, const Limits& limits = {}) {
        OperatorRun t(Precision::fp32, limits);
        const TensorId a = t.input(q, std::vector<float>(q.elements())),
                       b = t.input(k, std::vector<float>(k.elements()));
        ops::attention(t.graph, a, b, b, {.heads = heads});
        REQUIRE(t.graph.error());
        return *t.graph.error();
    };
    CHECK(error({1, 1, 4, 12}, {1, 1, 4, 12}, 2).message.find("multiple of 4") != std::string::npos);
    CHECK(error({1, 1, 4, 8}, {1, 1, 4, 16}, 2).message.find("do not fit") != std::string::npos);
    CHECK(error({1, 1, 4, 8}, {1, 1, 4, 8}, 0).code == Code::invalid_argument);
    CHECK(error({1, 1, 4, 8}, {1, 1, 400, 8}, 1, {.binding_bytes = 4096}).code == Code::missing_feature);
}
