#include <set>

#include "ops/cases.hpp"
#include "ops/exact_reference.hpp"
#include "ops/gemm.hpp"
#include "ops/gemm_reference.hpp"
#include "ops/operator_run.hpp"

namespace pumice {
namespace {

using namespace pumice::test;
using ops::Activation;

/// Inputs of a case, as they are after storage.
struct Prepared {
    Shape x_shape, y_shape;
    DType x_type, residual_type;
    std::vector<float> x, bias, residual;
    HostWeight weight;
};

Prepared prepare(const LinearCase& c, Precision precision, DType weight, std::uint32_t rows, bool f32_input = false) {
    Random random(c.k * 131 + c.n);
    Prepared p{};
    p.weight = HostWeight::random(c.n, c.k, 1, 1, weight, random, c.geglu);
    const Weight w = p.weight.describe();
    p.x_type = precision == Precision::fp16 && !f32_input ? DType::f16 : DType::f32;
    p.residual_type = precision == Precision::fp16 ? DType::f16 : DType::f32;
    p.x_shape = {1, 1, rows, w.k_padded()};
    p.y_shape = {1, 1, rows, c.geglu ? c.n / 2 : w.n_padded()};
    p.x = stored(random.values(p.x_shape.elements()), p.x_type);
    for (std::uint64_t i = 0; i < p.x.size(); ++i)
        if (i % w.k_padded() >= c.k) p.x[i] = 0;
    if (c.bias) p.bias = random.values(c.n);
    if (c.residual) p.residual = stored(random.values(p.y_shape.elements()), p.residual_type);
    return p;
}

struct Ran {
    std::vector<float> y;
    std::size_t dispatches;
};

Ran run(OperatorRun& r, const LinearCase& c, const Prepared& p, const ops::GemmVariant* variant = nullptr,
        bool f32_output = false) {
    const Weight w = p.weight.on_device();
    std::vector<float> columns(p.bias.size());
    for (std::uint32_t i = 0; i < columns.size(); ++i) columns[i] = p.bias[p.weight.row_of_column(i)];
    const Weight bias = c.bias ? device_vector(columns) : Weight{};
    ops::LinearOptions options;
    options.activation = c.activation;
    options.f32_output = f32_output;
    if (c.bias) options.bias = &bias;
    const TensorId x = r.graph.external(p.x_shape, p.x_type, OperatorRun::upload(to_bytes(p.x, p.x_type)), "x");
    if (c.residual) options.residual = r.input(p.y_shape, p.residual_type, p.residual);
    const TensorId y =
        variant ? ops::linear_with(r.graph, x, w, options, *variant) : ops::linear(r.graph, x, w, options);
    std::vector<float> values = r.run(y);
    REQUIRE(r.graph.shape(y) == p.y_shape);
    return {values, r.dispatches()};
}

/// Rows worth the reference's time.
std::vector<std::uint32_t> some_rows(std::uint32_t rows, std::uint64_t cost_a_row) {
    const auto most = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(20'000'000 / cost_a_row, 2, rows));
    std::set<std::uint32_t> some{0, rows - 1};
    for (std::uint32_t i = 0; some.size() < std::min(most, rows); ++i)
        some.insert(most == rows ? i : static_cast<std::uint32_t>(i * 7919ull % rows));
    return {some.begin(), some.end()};
}

/// The operator in number type T: double for the tolerance, float for the bits.
template <class T>
std::vector<T> reference(const LinearCase& c, const Prepared& p, std::span<const std::uint32_t> rows) {
    const GemmReference<T> maths;
    std::vector<T> y;
    for (const std::uint32_t row : rows) {
        const auto sum = [&](std::uint32_t out) {
            T s = 0;
            for (std::uint32_t i = 0; i < c.k; ++i)
                s = maths.multiply_add(s, p.x[std::uint64_t(row) * p.x_shape.c + i], p.weight.at(out, i, 0));
            return c.bias ? s + T(p.bias[out]) : s;
        };
        for (std::uint32_t out = 0; out < p.y_shape.c; ++out) {
            if (!c.geglu && out >= c.n) {
                y.push_back(c.residual ? T(p.residual[std::uint64_t(row) * p.y_shape.c + out]) : T(0));
                continue;
            }
            if (c.geglu) {
                y.push_back(sum(out) * maths.activate(sum(out + c.n / 2), Activation::gelu));
                continue;
            }
            T v = maths.activate(sum(out), c.activation);
            if (c.residual) v = v + T(p.residual[std::uint64_t(row) * p.y_shape.c + out]);
            y.push_back(v);
        }
    }
    return y;
}

std::vector<float> rows_of(std::span<const float> y, std::uint32_t width, std::span<const std::uint32_t> rows) {
    std::vector<float> some;
    for (const std::uint32_t row : rows)
        some.insert(some.end(), y.begin() + std::ptrdiff_t(std::uint64_t(row) * width),
                    y.begin() + std::ptrdiff_t(std::uint64_t(row + 1) * width));
    return some;
}

void check(const LinearCase& c, const Prepared& p, std::span<const float> y, Precision precision, DType output) {
    const auto rows = some_rows(p.x_shape.w, std::uint64_t(c.k) * c.n);
    const std::vector<float> got = rows_of(y, p.y_shape.c, rows);
    if (precision == Precision::exact) {
        CHECK(different_bits(got, reference<float>(c, p, rows)) == "");
        return;
    }
    CHECK(relative_error(got, reference<double>(c, p, rows)) < gemm_tolerance(output));
}

constexpr Precision all_precisions[] = {Precision::exact, Precision::fp32, Precision::fp16};
constexpr DType all_weights[] = {DType::f32, DType::f16, DType::bf16};

}  // namespace

TEST_CASE("linear agrees with the reference", "[linear]") {
    for (const LinearCase& c : linear_cases)
        for (const Precision precision : all_precisions) {
            INFO(c.name << ", precision " << int(precision));
            const Prepared p = prepare(c, precision, DType::f16, c.test_rows);
            OperatorRun r(precision);
            check(c, p, run(r, c, p).y, precision, r.graph.activation());
        }
}

TEST_CASE("linear reads every type of weight, input and output", "[linear]") {
    const LinearCase c{"", 0, 21, 48, 72, true, true};
    for (const Precision precision : all_precisions)
        for (const DType weight : all_weights)
            for (const bool f32_input : {false, true})
                for (const bool f32_output : {false, true}) {
                    INFO("precision " << int(precision) << ", weight type " << int(weight) << ", f32 input "
                                      << f32_input << ", f32 output " << f32_output);
                    const Prepared p = prepare(c, precision, weight, c.test_rows, f32_input);
                    OperatorRun r(precision);
                    const Ran ran = run(r, c, p, nullptr, f32_output);
                    check(c, p, ran.y, precision, f32_output ? DType::f32 : r.graph.activation());
                }
}

TEST_CASE("linear gives the same with every variant", "[linear]") {
    using ops::GemmPath;
    const LinearCase c{"", 0, 150, 64, 84, true, true, false, Activation::silu};
    const Capabilities& caps = gpu().device->caps();
    const auto try_variant = [&](Precision precision, DType weight, const ops::GemmVariant& v) {
        if ((v.path == GemmPath::wide && !caps.int64) || v.lanes_n * v.lanes_m > caps.max_workgroup_invocations) return;
        INFO("precision " << int(precision) << ", weight type " << int(weight) << ", path " << int(v.path) << ", "
                          << v.lanes_n << " x " << v.lanes_m);
        const Prepared p = prepare(c, precision, weight, c.test_rows);
        OperatorRun r(precision);
        check(c, p, run(r, c, p, &v).y, precision, r.graph.activation());
    };
    for (const auto path : {GemmPath::direct, GemmPath::wide, GemmPath::shared})
        for (const Precision precision : all_precisions) {
            for (const DType weight : all_weights) try_variant(precision, weight, {path, 4, 2});
            for (const auto& [n, m] : {std::pair{1u, 4u}, {16u, 16u}}) try_variant(precision, DType::f16, {path, n, m});
        }
    for (const DType x : {DType::f32, DType::f16})
        for (const auto& v : ops::gemm_variants(caps, {c.test_rows, 84, c.k, x})) {
            try_variant(x == DType::f16 ? Precision::fp16 : Precision::fp32, DType::f16, v);
            if (x == DType::f32) try_variant(Precision::exact, DType::f16, v);
        }
}

TEST_CASE("an exact linear reads every half exactly", "[linear]") {
    // Column 0 holds all 65536 halves but infinities and NaN, times 1, in turn.
    const std::uint32_t k = 32, n = 2048;
    HostWeight w{n, k, 1, 1, DType::f16, false, {}};
    for (std::uint32_t i = 0; i < n * k; ++i) {
        const auto half = static_cast<std::uint16_t>(i);
        w.values.push_back((half & 0x7C00) == 0x7C00 ? 0.0f : f16_to_f32(half));
    }
    std::vector<float> x(k * k, 0.0f);
    for (std::uint32_t i = 0; i < k; ++i) x[i * k + i] = 1;
    OperatorRun r(Precision::exact);
    const Weight weight = w.on_device();
    const std::vector<float> y = r.run(ops::linear(r.graph, r.input({1, 1, k, k}, DType::f32, x), weight));
    std::vector<float> wanted(y.size());
    for (std::uint32_t row = 0; row < k; ++row)
        for (std::uint32_t c = 0; c < n; ++c) wanted[row * n + c] = w.at(c, row, 0) + 0.0f;
    CHECK(different_bits(y, wanted) == "");
}

TEST_CASE("linear cut into pieces gives the same", "[linear]") {
    const LinearCase plain{"", 0, 301, 32, 36, true, true}, geglu{"", 0, 301, 32, 48, true, false, true};
    for (const LinearCase& c : {plain, geglu})
        for (const Precision precision : all_precisions) {
            INFO("geglu " << c.geglu << ", precision " << int(precision));
            const Prepared p = prepare(c, precision, DType::f16, c.test_rows);
            OperatorRun whole(precision);
            const Ran once = run(whole, c, p);
            CHECK(once.dispatches == 1);

            Capabilities small = gpu().device->caps();
            small.max_storage_buffer_range = 16 << 10;
            OperatorRun short_bindings(precision, small);
            const Ran cut = run(short_bindings, c, p);
            CHECK(cut.dispatches > 1);
            CHECK(different_bits(cut.y, once.y) == "");

            Capabilities narrow = gpu().device->caps();
            narrow.max_workgroup_count[0] = 2;
            OperatorRun short_grid(precision, narrow);
            const Ran narrow_cut = run(short_grid, c, p);
            CHECK(narrow_cut.dispatches > 1);
            CHECK(different_bits(narrow_cut.y, once.y) == "");

            OperatorRun slow(precision, gpu().device->caps(), 1e-3);  // 0.2 MFLOP a dispatch
            const Ran slow_cut = run(slow, c, p);
            CHECK(slow_cut.dispatches > 1);
            CHECK(different_bits(slow_cut.y, once.y) == "");
        }
}

TEST_CASE("linear refuses what does not fit", "[linear]") {
    Random random(1);
    const HostWeight host = HostWeight::random(16, 8, 1, 1, DType::f32, random);
    const Weight w = host.on_device();
    const Weight short_bias = device_vector(random.values(12));
    const auto message = [&](auto&& make) {
        OperatorRun r(Precision::fp32);
        const TensorId y = make(r.graph);
        CHECK(!y);
        REQUIRE(r.graph.error() != nullptr);
        CHECK(r.graph.error()->code == Code::invalid_argument);
        return r.graph.error()->message;
    };
    CHECK(message([&](Graph& g) {
              return ops::linear(g, g.transient({1, 1, 5, 12}, DType::f32), w);
          }) == "linear: {1, 1, 5, 12} f32 does not fit weight [16][8][1][1]");
    CHECK(message([&](Graph& g) {
              return ops::linear(g, g.transient({1, 1, 5, 8}, DType::f32), w, {.bias = &short_bias});
          }) == "linear: bias bias [12][1][1][1] does not fit weight [16][8][1][1]");
    CHECK(message([&](Graph& g) {
              const TensorId other = g.transient({1, 1, 4, 16}, DType::f32);
              return ops::linear(g, g.transient({1, 1, 5, 8}, DType::f32), w, {.residual = other});
          }) == "linear: residual {1, 1, 4, 16} f32 does not fit the output {1, 1, 5, 16}");
    CHECK(message([&](Graph& g) { return ops::linear(g, {}, w); }) == "linear: no input");
    CHECK(message([&](Graph& g) {
              return ops::linear(g, g.transient({1, 1, 5, 8}, DType::i32), w);
          }) == "linear: cannot read {1, 1, 5, 8} i32");
}

}  // namespace pumice
