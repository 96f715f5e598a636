#include <set>

#include "ops/cases.hpp"
#include "ops/gemm.hpp"
#include "ops/gemm_reference.hpp"
#include "ops/operator_run.hpp"

namespace pumice {
namespace {

using namespace pumice::test;

struct Prepared {
    Shape x_shape, y_shape;
    DType x_type, residual_type;
    std::vector<float> x, bias, channel_add, residual;
    HostWeight weight;
};

Prepared prepare(const ConvCase& c, Precision precision, DType weight, bool f32_input = false) {
    Random random(c.c * 131 + c.out);
    Prepared p{};
    p.weight = HostWeight::random(c.out, c.c, c.kernel, c.kernel, weight, random);
    const Weight w = p.weight.describe();
    p.x_type = precision == Precision::fp16 && !f32_input ? DType::f16 : DType::f32;
    p.residual_type = precision == Precision::fp16 ? DType::f16 : DType::f32;
    p.x_shape = {c.n, c.test_h, c.test_w, w.k_padded()};
    p.y_shape = {c.n, (c.test_h + c.pad_top + c.pad_bottom - c.kernel) / c.stride + 1,
                 (c.test_w + c.pad_left + c.pad_right - c.kernel) / c.stride + 1, w.n_padded()};
    p.x = stored(random.values(p.x_shape.elements()), p.x_type);
    for (std::uint64_t i = 0; i < p.x.size(); ++i)
        if (i % w.k_padded() >= c.c) p.x[i] = 0;
    p.bias = random.values(c.out);
    if (c.channel_add) p.channel_add = random.values(std::uint64_t(c.n) * p.y_shape.c);
    if (c.residual) p.residual = stored(random.values(p.y_shape.elements()), p.residual_type);
    return p;
}

struct Ran {
    std::vector<float> y;
    std::size_t dispatches;
};

Ran run(OperatorRun& r, const ConvCase& c, const Prepared& p, const ops::GemmVariant* variant = nullptr,
        bool f32_output = false) {
    const Weight w = p.weight.on_device(), bias = device_vector(p.bias);
    ops::Conv2dOptions o;
    o.bias = &bias;
    o.stride = c.stride;
    o.pad_top = c.pad_top, o.pad_left = c.pad_left, o.pad_bottom = c.pad_bottom, o.pad_right = c.pad_right;
    o.activation = c.activation;
    o.f32_output = f32_output;
    const TensorId x = r.input(p.x_shape, p.x_type, p.x);
    if (c.channel_add) o.channel_add = r.input({c.n, 1, 1, p.y_shape.c}, DType::f32, p.channel_add);
    if (c.residual) o.residual = r.input(p.y_shape, p.residual_type, p.residual);
    const TensorId y = variant ? ops::conv2d_with(r.graph, x, w, o, *variant) : ops::conv2d(r.graph, x, w, o);
    std::vector<float> values = r.run(y);
    REQUIRE(r.graph.shape(y) == p.y_shape);
    return {values, r.dispatches()};
}

/// The product at one output, taps and channels in order; a tap outside of the picture adds nothing.
template <class T>
T product(const ConvCase& c, const Prepared& p, std::uint32_t n, std::uint32_t y, std::uint32_t x, std::uint32_t out) {
    const GemmReference<T> maths;
    T sum = 0;
    for (std::uint32_t tap = 0; tap < p.weight.taps(); ++tap) {
        const std::int64_t iy = std::int64_t(y) * c.stride - c.pad_top + tap / c.kernel;
        const std::int64_t ix = std::int64_t(x) * c.stride - c.pad_left + tap % c.kernel;
        if (iy < 0 || ix < 0 || iy >= p.x_shape.h || ix >= p.x_shape.w) continue;
        const float* pixel =
            &p.x[((std::uint64_t(n) * p.x_shape.h + std::uint64_t(iy)) * p.x_shape.w + std::uint64_t(ix)) *
                 p.x_shape.c];
        for (std::uint32_t k = 0; k < c.c; ++k) sum = maths.multiply_add(sum, pixel[k], p.weight.at(out, k, tap));
    }
    return sum;
}

/// Pixels worth the reference's time: corners, edges and what else there is time for.
std::vector<std::uint32_t> some_pixels(const Shape& y, std::uint64_t cost_a_pixel) {
    const auto all = static_cast<std::uint32_t>(y.rows());
    const auto most = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(40'000'000 / cost_a_pixel, 5, all));
    std::set<std::uint32_t> some{0, y.w - 1, y.w * (y.h - 1), all / 2, all - 1};
    for (std::uint32_t i = 0; some.size() < most; ++i)
        some.insert(most == all ? i : static_cast<std::uint32_t>(i * 7919ull % all));
    return {some.begin(), some.end()};
}

template <class T>
std::vector<T> reference(const ConvCase& c, const Prepared& p, std::span<const std::uint32_t> pixels) {
    const GemmReference<T> maths;
    const Shape& s = p.y_shape;
    std::vector<T> y;
    for (const std::uint32_t pixel : pixels) {
        const std::uint32_t n = pixel / (s.h * s.w), oy = pixel / s.w % s.h, ox = pixel % s.w;
        for (std::uint32_t out = 0; out < s.c; ++out) {
            T v = out < c.out ? product<T>(c, p, n, oy, ox, out) + T(p.bias[out]) : T(0);
            if (c.channel_add) v = v + T(p.channel_add[std::uint64_t(n) * s.c + out]);
            v = maths.activate(v, c.activation);
            if (c.residual) v = v + T(p.residual[std::uint64_t(pixel) * s.c + out]);
            y.push_back(v);
        }
    }
    return y;
}

void check(const ConvCase& c, const Prepared& p, std::span<const float> y, Precision precision, DType output) {
    const auto pixels = some_pixels(p.y_shape, std::uint64_t(c.c) * c.out * c.kernel * c.kernel);
    std::vector<float> got;
    for (const std::uint32_t pixel : pixels)
        for (std::uint32_t i = 0; i < p.y_shape.c; ++i) got.push_back(y[std::uint64_t(pixel) * p.y_shape.c + i]);
    if (precision == Precision::exact)
        CHECK(different_bits(got, reference<float>(c, p, pixels)) == "");
    else
        CHECK(relative_error(got, reference<double>(c, p, pixels)) < gemm_tolerance(output));
}

constexpr Precision all_precisions[] = {Precision::exact, Precision::fp32, Precision::fp16};
constexpr DType all_weights[] = {DType::f32, DType::f16, DType::bf16};

}  // namespace

TEST_CASE("conv2d agrees with the reference", "[conv2d]") {
    for (const ConvCase& c : conv_cases)
        for (const Precision precision : all_precisions) {
            INFO(c.name << ", precision " << int(precision));
            const Prepared p = prepare(c, precision, DType::f16);
            OperatorRun r(precision);
            check(c, p, run(r, c, p).y, precision, r.graph.activation());
        }
}

TEST_CASE("conv2d reads every type of weight, input and output", "[conv2d]") {
    const ConvCase c{"", 2, 0, 0, 6, 5, 16, 20, 3, 1, 1, 1, 1, 1, true, true};
    for (const Precision precision : all_precisions)
        for (const DType weight : all_weights)
            for (const bool f32_input : {false, true})
                for (const bool f32_output : {false, true}) {
                    INFO("precision " << int(precision) << ", weight type " << int(weight) << ", f32 input "
                                      << f32_input << ", f32 output " << f32_output);
                    const Prepared p = prepare(c, precision, weight, f32_input);
                    OperatorRun r(precision);
                    const Ran ran = run(r, c, p, nullptr, f32_output);
                    check(c, p, ran.y, precision, f32_output ? DType::f32 : r.graph.activation());
                }
}

TEST_CASE("conv2d gives the same with every variant", "[conv2d]") {
    using ops::GemmPath;
    const ConvCase c{"", 2, 0, 0, 11, 9, 32, 68, 3, 2, 0, 1, 1, 1, true, true};
    const Capabilities& caps = gpu().device->caps();
    for (const Precision precision : all_precisions) {
        const Prepared p = prepare(c, precision, DType::f16);
        auto variants = ops::gemm_variants(caps, {p.y_shape.rows(), c.out, c.c, p.x_type});
        for (const auto path : {GemmPath::direct, GemmPath::wide, GemmPath::shared})
            for (const auto& [n, m] : {std::pair{2u, 4u}, {16u, 8u}})
                if ((path != GemmPath::wide || caps.int64) && n * m <= caps.max_workgroup_invocations)
                    variants.push_back({path, n, m});
        for (const auto& v : variants) {
            INFO("precision " << int(precision) << ", path " << int(v.path) << ", " << v.lanes_n << " x " << v.lanes_m);
            OperatorRun r(precision);
            check(c, p, run(r, c, p, &v).y, precision, r.graph.activation());
        }
    }
}

TEST_CASE("conv2d cut into bands of rows gives the same", "[conv2d]") {
    const ConvCase cases[] = {
        {"stride 1", 2, 0, 0, 21, 12, 16, 12, 3, 1, 1, 1, 1, 1, true, true},
        {"stride 2, pads below", 2, 0, 0, 22, 12, 16, 12, 3, 2, 0, 0, 1, 1, true, true},
        {"5x5", 1, 0, 0, 20, 11, 16, 4, 5, 1, 2, 2, 2, 2, false, true},
    };
    for (const ConvCase& c : cases)
        for (const Precision precision : all_precisions) {
            INFO(c.name << ", precision " << int(precision));
            const Prepared p = prepare(c, precision, DType::f16);
            OperatorRun whole(precision);
            const Ran once = run(whole, c, p);
            CHECK(once.dispatches == 1);

            Capabilities small = gpu().device->caps();
            small.max_storage_buffer_range = 4 << 10;
            OperatorRun short_bindings(precision, small);
            const Ran cut = run(short_bindings, c, p);
            CHECK(cut.dispatches > 2);
            CHECK(different_bits(cut.y, once.y) == "");

            Capabilities narrow = gpu().device->caps();
            narrow.max_workgroup_count[0] = 1;
            OperatorRun short_grid(precision, narrow);
            const Ran narrow_cut = run(short_grid, c, p);
            CHECK(narrow_cut.dispatches > 2);
            CHECK(different_bits(narrow_cut.y, once.y) == "");

            OperatorRun slow(precision, gpu().device->caps(), 1e-3);  // 0.2 MFLOP a dispatch
            const Ran slow_cut = run(slow, c, p);
            CHECK(slow_cut.dispatches > 2);
            CHECK(different_bits(slow_cut.y, once.y) == "");
        }
}

TEST_CASE("conv2d refuses what does not fit", "[conv2d]") {
    Random random(1);
    const HostWeight host = HostWeight::random(16, 8, 3, 3, DType::f32, random);
    const Weight w = host.on_device();
    const auto message = [&](auto&& make, Code code = Code::invalid_argument) {
        Capabilities small = gpu().device->caps();
        small.max_storage_buffer_range = 8 << 10;
        OperatorRun r(Precision::fp32, small);
        const TensorId y = make(r.graph);
        CHECK(!y);
        REQUIRE(r.graph.error() != nullptr);
        CHECK(r.graph.error()->code == code);
        return r.graph.error()->message;
    };
    const auto picture = [](Graph& g, std::uint32_t h, std::uint32_t width, std::uint32_t c) {
        return g.transient({1, h, width, c}, DType::f32);
    };
    CHECK(message([&](Graph& g) { return ops::conv2d(g, picture(g, 5, 5, 4), w); }) ==
          "conv2d: {1, 5, 5, 4} f32 does not fit weight [16][8][3][3]");
    CHECK(message([&](Graph& g) { return ops::conv2d(g, picture(g, 5, 5, 8), w, {.stride = 3}); }) ==
          "conv2d: stride 3");
    CHECK(message([&](Graph& g) { return ops::conv2d(g, picture(g, 2, 5, 8), w, {.pad_top = 0, .pad_bottom = 0}); }) ==
          "conv2d: {1, 2, 5, 8} f32 is smaller than the kernel of weight [16][8][3][3]");
    CHECK(message([&](Graph& g) {
              return ops::conv2d(g, picture(g, 5, 5, 8), w, {.channel_add = g.transient({1, 1, 1, 12}, DType::f32)});
          }) == "conv2d: channel_add {1, 1, 1, 12} f32 does not fit weight [16][8][3][3]");
    // Three rows of 100 pixels are more than the 8 KiB that can be bound.
    CHECK(message([&](Graph& g) { return ops::conv2d(g, picture(g, 5, 100, 8), w); }, Code::missing_feature) ==
          "conv2d: one row of {1, 5, 100, 8} f32 is larger than the device can bind");
    // Nor can a linear layer of one tap be given a picture's options.
    CHECK(message([&](Graph& g) { return ops::linear(g, picture(g, 5, 5, 8), w); }) ==
          "linear: weight [16][8][3][3] is a convolution");
}

}  // namespace pumice
