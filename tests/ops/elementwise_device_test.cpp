// The operators that treat elements one by one: activation, linear_combination, add, add_by, affine, scale_by, guide,
// cast, to_image, from_image, check_finite.
#include <array>
#include <cmath>
#include <limits>

#include "ops/exact_reference.hpp"
#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

constexpr Precision kAll[] = {Precision::exact, Precision::fp32, Precision::fp16};
/// A UNet's, a ragged one, one that a small limit cuts in pieces, one longer than a row of workgroups.
struct Case {
    Shape shape;
    Limits limits;
};
const Case kCases[] = {{{2, 16, 16, 320}, {}},
                       {{1, 5, 3, 4}, {}},
                       {{3, 7, 11, 12}, {.binding_bytes = 4096}},
                       {{1, 33, 17, 36}, {.workgroups = 3}},
                       {{2, 9, 16, 8}, {.gflops = 1e-5}}};

template <class F>
std::vector<double> mapped(const std::vector<float>& x, F f) {
    std::vector<double> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = f(double(x[i]));
    return y;
}

double storage_tolerance(Precision p) {
    return p == Precision::fp16 ? 1e-3 : 1e-6;
}

}  // namespace

TEST_CASE("activation", "[ops]") {
    ops::ExactFunctions exact;
    for (const Precision p : kAll)
        for (const Case& c : kCases)
            for (const auto kind : {ops::Activation::silu, ops::Activation::gelu, ops::Activation::quick_gelu}) {
                INFO(name(p) << " kind " << int(kind));
                OperatorRun t(p, c.limits);
                auto values = normal_values(c.shape.elements(), 1, 3);
                values[0] = 100;
                values[1] = -100;
                values[2] = 0;
                const TensorId y = ops::activation(t.graph, t.input(c.shape, values), kind);
                t.run({y});
                const auto x = stored(values, t.graph.activation());
                if (p == Precision::exact) {
                    std::vector<float> want(x);
                    for (float& v : want)
                        v = kind == ops::Activation::silu   ? exact.exact_silu(v)
                            : kind == ops::Activation::gelu ? exact.exact_gelu(v)
                                                            : exact.exact_quick_gelu(v);
                    check_same_bits(t.floats(y), want);
                }
                const auto want = mapped(x, [&](double v) {
                    if (kind == ops::Activation::silu) return v / (1 + std::exp(-v));
                    if (kind == ops::Activation::gelu) return 0.5 * v * std::erfc(-v / std::sqrt(2.0));
                    return v / (1 + std::exp(-1.702 * v));
                });
                // erf is good to 2e-7, times |x| / 2 near the foot of a GELU.
                check_close(t.floats(y), want, p == Precision::fp16 ? 2e-3 : 1e-5, storage_tolerance(p));
            }
}

TEST_CASE("linear_combination of one to four terms, into one of them too", "[ops]") {
    const std::array<float, 4> w{0.5f, -1.25f, 3.0f, 1 / 3.0f};
    for (const Precision p : {Precision::exact, Precision::fp32})
        for (const Case& c : kCases)
            for (std::size_t terms = 1; terms <= 4; ++terms) {
                OperatorRun t(p, c.limits);
                std::vector<std::vector<float>> x;
                std::vector<TensorId> ids;
                std::vector<ops::Term> list;
                for (std::size_t i = 0; i < terms; ++i) {
                    x.push_back(normal_values(c.shape.elements(), std::uint32_t(10 + i)));
                    ids.push_back(t.input(c.shape, DType::f32, x[i]));
                    list.push_back({ids[i], w[i]});
                }
                std::vector<float> want(x[0].size());
                for (std::size_t i = 0; i < want.size(); ++i) {
                    want[i] = w[0] * x[0][i];
                    for (std::size_t k = 1; k < terms; ++k) want[i] = want[i] + w[k] * x[k][i];
                }
                const TensorId params = t.input({1, 1, 1, 8}, DType::f32, {9, 9, w[0], w[1], w[2], w[3], 9, 9});
                const TensorId y = ops::linear_combination(t.graph, list);
                const TensorId by = ops::linear_combination_by(t.graph, ids, params, 2);
                const TensorId in_place = ops::linear_combination(t.graph, list, ids.back());
                CHECK(in_place == ids.back());
                t.run({y, by, in_place});
                check_same_bits(t.floats(y), want);
                check_same_bits(t.floats(by), want);
                check_same_bits(t.floats(in_place), want);
            }
}

TEST_CASE("a combination by parameters follows them from run to run", "[ops]") {
    OperatorRun t(Precision::fp32);
    const Shape shape{1, 4, 4, 4};
    const auto x = normal_values(shape.elements(), 3);
    const TensorId params = t.input({1, 1, 1, 4}, DType::f32, {1, 0, 0, 0});
    const TensorId id = t.input(shape, DType::f32, x);
    const TensorId y = ops::linear_combination_by(t.graph, std::array{id}, params, 0);
    t.run({y});
    check_same_bits(t.floats(y), x);
    t.write(params, {-2, 0, 0, 0});
    t.again();
    check_close(t.floats(y), mapped(x, [](double v) { return -2 * v; }), 0, 1e-7);
}

TEST_CASE("add", "[ops]") {
    for (const Precision p : kAll)
        for (const Case& c : kCases) {
            OperatorRun t(p, c.limits);
            const auto a = stored(normal_values(c.shape.elements(), 1), t.graph.activation());
            const auto b = stored(normal_values(c.shape.elements(), 2), t.graph.activation());
            const TensorId y = ops::add(t.graph, t.input(c.shape, a), t.input(c.shape, b));
            t.run({y});
            std::vector<double> want(a.size());
            for (std::size_t i = 0; i < a.size(); ++i) want[i] = double(a[i]) + b[i];
            check_close(t.floats(y), want, 1e-7, storage_tolerance(p));
        }
}

TEST_CASE("scale_by writes the batch as often as asked", "[ops]") {
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : kCases) {
            OperatorRun t(Precision::fp32, c.limits);
            const auto x = normal_values(c.shape.elements(), 1);
            const TensorId params = t.input({1, 1, 1, 4}, DType::f32, {7, 7, 0.3f, 7});
            const TensorId y = ops::scale_by(t.graph, t.input(c.shape, DType::f32, x), params, 2, type, 2);
            CHECK(t.graph.shape(y).n == 2 * c.shape.n);
            CHECK(t.graph.dtype(y) == type);
            t.run({y});
            std::vector<float> want;
            for (int r = 0; r < 2; ++r)
                for (const float v : x) want.push_back(v * 0.3f);
            if (type == DType::f32)
                check_same_bits(t.floats(y), want);
            else
                check_close(t.floats(y), mapped(want, [](double v) { return v; }), 1e-7, 1e-3);
        }
}

TEST_CASE("guide", "[ops]") {
    const float c_skip = 0.75f, c_out = -2.5f, scale = 7.5f;
    for (const Precision p : kAll)
        for (const Case& c : kCases)
            for (const std::uint32_t batches : {1u, 2u}) {
                OperatorRun t(p, c.limits);
                const std::size_t n = c.shape.elements();
                Shape model_shape = c.shape;
                model_shape.n *= batches;
                const auto x = normal_values(n, 1, 10);
                const auto model = stored(normal_values(n * batches, 2), t.graph.activation());
                const TensorId params = t.input({1, 1, 1, 4}, DType::f32, {0, c_skip, c_out, scale});
                const TensorId y =
                    ops::guide(t.graph, t.input(c.shape, DType::f32, x), t.input(model_shape, model), params, 1);
                t.run({y});
                std::vector<float> want(n);
                for (std::size_t i = 0; i < n; ++i) {
                    const float u = model[i];
                    const float m = batches == 2 ? u + scale * (model[n + i] - u) : u;
                    want[i] = c_skip * x[i] + c_out * m;
                }
                if (p != Precision::fp16)
                    check_same_bits(t.floats(y), want);
                else
                    check_close(t.floats(y), mapped(want, [](double v) { return v; }), 2e-5, 1e-6);
            }
}

TEST_CASE("guide_half takes one half of the model's output", "[ops]") {
    const float c_skip = 0.75f, c_out = -2.5f;
    for (const Precision p : {Precision::exact, Precision::fp32})
        for (const Case& c : kCases) {
            OperatorRun t(p, c.limits);
            const std::size_t n = c.shape.elements();
            Shape model_shape = c.shape;
            model_shape.n *= 2;
            const auto x = normal_values(n, 1, 10), model = normal_values(n * 2, 2);
            const TensorId x_id = t.input(c.shape, DType::f32, x), model_id = t.input(model_shape, model);
            const TensorId params = t.input({1, 1, 1, 4}, DType::f32, {0, c_skip, c_out, 9});
            const TensorId halves[] = {ops::guide_half(t.graph, x_id, model_id, 0, params, 1),
                                       ops::guide_half(t.graph, x_id, model_id, 1, params, 1)};
            t.run({halves[0], halves[1]});
            for (std::size_t half = 0; half < 2; ++half) {
                std::vector<float> want(n);
                for (std::size_t i = 0; i < n; ++i) want[i] = c_skip * x[i] + c_out * model[half * n + i];
                check_same_bits(t.floats(halves[half]), want);
            }
        }
}

TEST_CASE("add_by adds each picture's residual with a weight of its own", "[ops]") {
    const std::vector<float> weights{9, 0.5f, 0, -2, 9};
    for (const Precision p : kAll)
        for (const Case& c : kCases)
            for (const bool shared : {false, true}) {
                OperatorRun t(p, c.limits);
                Shape of_r = c.shape;
                if (shared) of_r.n = 1;
                const auto x = stored(normal_values(c.shape.elements(), 1), t.graph.activation());
                const auto r = stored(normal_values(of_r.elements(), 2), t.graph.activation());
                const TensorId params = t.input({1, 1, 1, 8}, DType::f32, {9, 0.5f, 0, -2, 9, 9, 9, 9});
                const TensorId y = ops::add_by(t.graph, t.input(c.shape, x), t.input(of_r, r), params, 1);
                t.run({y});
                std::vector<float> want(x.size());
                const std::size_t picture = x.size() / c.shape.n;
                for (std::size_t i = 0; i < x.size(); ++i)
                    want[i] = x[i] + weights[1 + i / picture] * r[shared ? i % picture : i];
                if (p != Precision::fp16)
                    check_same_bits(t.floats(y), want);
                else
                    check_close(t.floats(y), mapped(want, [](double v) { return v; }), 1e-5, 1e-3);
            }
}

TEST_CASE("affine scales, moves and clamps each picture's channels", "[ops]") {
    for (const Precision p : {Precision::exact, Precision::fp32})
        for (const Case& c : kCases) {
            OperatorRun t(p, c.limits);
            const std::uint32_t channels = c.shape.c;
            const auto x = normal_values(c.shape.elements(), 1);
            std::vector<float> params;
            for (std::uint32_t n = 0; n < c.shape.n; ++n)
                for (const float first : {0.5f, -1.0f, -2.0f, 0.25f})  // scale, offset, low, high
                    for (std::uint32_t k = 0; k < channels; ++k)
                        params.push_back(first + 0.125f * static_cast<float>(n) + 0.01f * static_cast<float>(k));
            const TensorId in = t.input(c.shape, DType::f32, x);
            const TensorId by = t.input(ops::affine_params_shape(c.shape), DType::f32, params);
            const TensorId y = ops::affine(t.graph, in, by);
            const TensorId in_place = ops::affine(t.graph, in, by, in);
            CHECK(in_place == in);
            t.run({y, in_place});
            std::vector<float> want(x.size());
            const std::size_t picture = x.size() / c.shape.n;
            for (std::size_t i = 0; i < x.size(); ++i) {
                const float* of = params.data() + i / picture * 4 * channels + i % channels;
                const float moved = x[i] * of[0] + of[channels];
                want[i] = std::min(std::max(moved, of[2 * channels]), of[3 * channels]);
            }
            check_same_bits(t.floats(y), want);
            check_same_bits(t.floats(in_place), want);
        }
}

TEST_CASE("cast keeps values, half by half", "[ops]") {
    // Every half, subnormal ones too; a driver may flush those only in fast kernels, where none of SD's sizes matter.
    std::vector<std::uint16_t> halves(65536);
    for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
    OperatorRun t(Precision::exact);
    const Shape shape{1, 1, 16384, 4};
    const TensorId from_f16 = ops::cast(t.graph, t.input_raw(shape, DType::f16, halves), DType::f32);
    const TensorId from_bf16 = ops::cast(t.graph, t.input_raw(shape, DType::bf16, halves), DType::f32);
    t.run({from_f16, from_bf16});
    const auto f16 = t.floats(from_f16), bf16 = t.floats(from_bf16);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < halves.size(); ++i) {
        const float a = f16_to_f32(halves[i]), b = bf16_to_f32(halves[i]);
        wrong += std::isnan(a) ? !std::isnan(f16[i])
                               : std::bit_cast<std::uint32_t>(a) != std::bit_cast<std::uint32_t>(f16[i]);
        wrong += std::isnan(b) ? !std::isnan(bf16[i]) : a != a ? 0 : b != bf16[i] && std::isnormal(b);
    }
    CHECK(wrong == 0);
}

TEST_CASE("cast to f16 and back, in pieces", "[ops]") {
    for (const Case& c : kCases) {
        OperatorRun t(Precision::fp32, c.limits);
        const auto x = normal_values(c.shape.elements(), 1, 100);
        const TensorId in = t.input(c.shape, DType::f32, x);
        const TensorId y = ops::cast(t.graph, in, DType::f16), z = ops::cast(t.graph, y, DType::f32);
        CHECK(ops::cast(t.graph, in, DType::f32) == in);
        t.run({y, z});
        check_close(t.floats(y), mapped(x, [](double v) { return v; }), 1e-7, 1e-3);
        check_same_bits(t.floats(z), t.floats(y));
    }
}

TEST_CASE("to_image truncates and from_image is its inverse", "[ops]") {
    for (const Precision p : kAll) {
        OperatorRun t(p, {.binding_bytes = 8192});
        const Shape shape{2, 24, 40, 4};
        auto values = normal_values(shape.elements(), 1, 0.7f);
        values[0] = std::numeric_limits<float>::quiet_NaN();
        values[1] = 1;
        values[2] = -1;
        values[4] = 1e9f;
        const TensorId image = ops::to_image(t.graph, t.input(shape, values));
        const TensorId back = ops::from_image(t.graph, image);
        t.run({image, back});
        const auto x = stored(values, t.graph.activation());
        const auto bytes = t.bytes(image);
        const auto floats = t.floats(back);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            float v = x[i] * 0.5f + 0.5f;
            v = v > 0 ? (v < 1 ? v : 1) : 0;
            const int level = i % 4 == 3 ? 255 : static_cast<int>(v * 255.0f);
            wrong += std::to_integer<int>(bytes[i]) != level;
            const double from = i % 4 == 3 ? 0 : level / 255.0 * 2 - 1;
            wrong += std::fabs(floats[i] - from) > (p == Precision::fp16 ? 1e-3 : 2e-7);
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("check_finite sees any NaN and infinity and nothing else", "[ops]") {
    const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (const Precision p : kAll)
        for (const Case& c : kCases)
            for (const float bad : {1.0f, infinity, -infinity, nan}) {
                INFO(name(p) << " " << bad);
                OperatorRun t(p, c.limits);
                auto values = normal_values(c.shape.elements(), 5);
                values[values.size() - 3] = bad;
                const TensorId flag = t.input_raw({1, 1, 1, 1}, DType::i32, std::vector<std::int32_t>{0});
                ops::check_finite(t.graph, t.input(c.shape, values), flag);
                t.run({flag});
                std::int32_t got = 0;
                std::memcpy(&got, t.bytes(flag).data(), 4);
                CHECK(got == (std::isfinite(bad) ? 0 : 1));
            }
    // The largest finite numbers are no alarm, and the flag is never cleared.
    OperatorRun t(Precision::fp32);
    const TensorId flag = t.input_raw({1, 1, 1, 1}, DType::i32, std::vector<std::int32_t>{1});
    ops::check_finite(t.graph, t.input({1, 1, 1, 4}, {3.4e38f, -3.4e38f, 0, 1e-45f}), flag);
    const TensorId other = t.input_raw({1, 1, 1, 1}, DType::i32, std::vector<std::int32_t>{0});
    ops::check_finite(t.graph, t.input({1, 1, 1, 4}, {3.4e38f, -3.4e38f, 0, 1e-45f}), other);
    t.run({flag, other});
    CHECK(t.bytes(flag)[0] == std::byte{1});
    CHECK(t.bytes(other)[0] == std::byte{0});
}

TEST_CASE("elementwise operators name what they cannot do", "[ops]") {
    const auto message = [](auto&& make) {
        OperatorRun t(Precision::fp32);
        make(t);
        REQUIRE(t.graph.error());
        CHECK(t.graph.error()->code == Code::invalid_argument);
        return t.graph.error()->message;
    };
    const std::vector<float> four(4, 1.0f), eight(8, 1.0f);
    CHECK(message([&](OperatorRun& t) {
              ops::add(t.graph, t.input({1, 1, 1, 4}, four), t.input({1, 1, 2, 4}, eight));
          }).find("{1, 1, 2, 4}") != std::string::npos);
    CHECK(message([&](OperatorRun& t) {
              ops::activation(t.graph, t.input({1, 1, 4, 1}, four), ops::Activation::silu);
          }).find("activation") != std::string::npos);
    CHECK(message([&](OperatorRun& t) {
              ops::guide(t.graph, t.input({1, 1, 1, 4}, four), t.input({1, 1, 1, 4}, four), t.input({1, 1, 1, 4}, four),
                         2);
          }).find("parameters") != std::string::npos);
    CHECK(message([&](OperatorRun& t) {
              ops::to_image(t.graph, t.input({1, 1, 1, 8}, eight));
          }).find("4 channels") != std::string::npos);
}
