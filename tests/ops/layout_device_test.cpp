// The operators that move elements: upsample_nearest, concat, nchw_to_nhwc, nhwc_to_nchw; and those that make them:
// embedding, timestep_embedding, random_normal.
#include <array>
#include <cmath>

#include "base/exact_math.hpp"
#include "diffusion/rng.hpp"
#include "npy.hpp"
#include "ops/exact_reference.hpp"
#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

using namespace pumice;
using namespace pumice::test;

TEST_CASE("upsample_nearest to any size", "[ops]") {
    struct Case {
        Shape in;
        std::uint32_t h, w;
        Limits limits;
    };
    const Case cases[] = {{{2, 8, 8, 320}, 16, 16, {}},
                          {{1, 3, 5, 8}, 7, 9, {}},                            // a skip of odd size
                          {{2, 9, 7, 4}, 4, 3, {}},                            // smaller
                          {{3, 8, 16, 32}, 16, 32, {.binding_bytes = 16384}},  // cut by rows across pictures
                          {{2, 31, 16, 16}, 15, 16, {.binding_bytes = 8192}},
                          {{1, 8, 8, 16}, 16, 16, {.workgroups = 2}}};
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : cases) {
            INFO(c.in.h << "x" << c.in.w << " to " << c.h << "x" << c.w);
            OperatorRun t(Precision::fp32, c.limits);
            const auto x = stored(normal_values(c.in.elements(), 1), type);
            const TensorId y = ops::upsample_nearest(t.graph, t.input(c.in, type, x), c.h, c.w);
            CHECK(t.graph.shape(y) == Shape{c.in.n, c.h, c.w, c.in.c});
            t.run({y});
            std::vector<float> want;
            for (std::uint32_t n = 0; n < c.in.n; ++n)
                for (std::uint32_t i = 0; i < c.h; ++i)
                    for (std::uint32_t j = 0; j < c.w; ++j)
                        for (std::uint32_t k = 0; k < c.in.c; ++k)
                            want.push_back(
                                x[((std::size_t(n) * c.in.h + i * c.in.h / c.h) * c.in.w + j * c.in.w / c.w) * c.in.c +
                                  k]);
            check_same_bits(t.floats(y), want);
        }
}

TEST_CASE("wrap: the other end lies around a picture, and a seamless convolution sees it", "[ops]") {
    struct Case {
        Shape in;
        std::uint32_t pad_y, pad_x;
        Limits limits;
    };
    const Case cases[] = {{{2, 8, 6, 12}, 1, 1, {}},
                          {{1, 3, 5, 8}, 3, 2, {}},
                          {{2, 9, 7, 4}, 0, 1, {}},
                          {{3, 8, 16, 32}, 1, 0, {.binding_bytes = 16384}},
                          {{1, 8, 8, 16}, 2, 2, {.workgroups = 2}}};
    const auto wrapped = [](const std::vector<float>& x, const Shape& in, std::uint32_t py, std::uint32_t px) {
        std::vector<float> out;
        for (std::uint32_t n = 0; n < in.n; ++n)
            for (std::uint32_t i = 0; i < in.h + 2 * py; ++i)
                for (std::uint32_t j = 0; j < in.w + 2 * px; ++j)
                    for (std::uint32_t k = 0; k < in.c; ++k)
                        out.push_back(x[((std::size_t(n) * in.h + (i + in.h - py) % in.h) * in.w +
                                         (j + in.w - px) % in.w) * in.c + k]);
        return out;
    };
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : cases) {
            INFO(c.in.h << "x" << c.in.w << ", " << c.pad_y << " and " << c.pad_x);
            OperatorRun t(Precision::fp32, c.limits);
            const auto x = stored(normal_values(c.in.elements(), 1), type);
            const TensorId y = ops::wrap(t.graph, t.input(c.in, type, x), c.pad_y, c.pad_x);
            CHECK(t.graph.shape(y) == Shape{c.in.n, c.in.h + 2 * c.pad_y, c.in.w + 2 * c.pad_x, c.in.c});
            t.run({y});
            check_same_bits(t.floats(y), wrapped(x, c.in, c.pad_y, c.pad_x));
        }

    Random random(3);
    const Shape in{1, 6, 5, 8};
    const Weight w = HostWeight::random(8, 8, 3, 3, DType::f32, random).on_device();
    const auto x = random.values(in.elements());
    for (const Seamless seamless : {Seamless{true, true}, Seamless{true, false}, Seamless{false, true}}) {
        OperatorRun a(Precision::exact), b(Precision::exact);
        a.graph.set_seamless(seamless);
        const TensorId got = ops::conv2d(a.graph, a.input(in, DType::f32, x), w);
        CHECK(a.graph.shape(got) == in);
        const std::uint32_t py = seamless.y ? 1 : 0, px = seamless.x ? 1 : 0;
        const TensorId around = b.input({1, 6 + 2 * py, 5 + 2 * px, 8}, DType::f32, wrapped(x, in, py, px));
        const TensorId want = ops::conv2d(b.graph, around, w,
                                          {.pad_top = 1 - py, .pad_left = 1 - px, .pad_bottom = 1 - py, .pad_right = 1 - px});
        check_same_bits(a.run(got), b.run(want));
    }
}

TEST_CASE("concat", "[ops]") {
    struct Case {
        Shape a;
        std::uint32_t cb;
        Limits limits;
    };
    const Case cases[] = {{{2, 8, 8, 1280}, 640, {}},
                          {{1, 3, 5, 4}, 12, {}},
                          {{3, 9, 7, 36}, 64, {.binding_bytes = 8192}},
                          {{1, 8, 8, 16}, 4, {.workgroups = 2}}};
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : cases) {
            OperatorRun t(Precision::fp32, c.limits);
            Shape sb = c.a;
            sb.c = c.cb;
            const auto a = stored(normal_values(c.a.elements(), 1), type);
            const auto b = stored(normal_values(sb.elements(), 2), type);
            const TensorId y = ops::concat(t.graph, t.input(c.a, type, a), t.input(sb, type, b));
            CHECK(t.graph.shape(y).c == c.a.c + c.cb);
            t.run({y});
            std::vector<float> want;
            for (std::size_t r = 0; r < c.a.rows(); ++r) {
                want.insert(want.end(), a.begin() + std::ptrdiff_t(r * c.a.c),
                            a.begin() + std::ptrdiff_t((r + 1) * c.a.c));
                want.insert(want.end(), b.begin() + std::ptrdiff_t(r * c.cb),
                            b.begin() + std::ptrdiff_t((r + 1) * c.cb));
            }
            check_same_bits(t.floats(y), want);
        }
}

TEST_CASE("NCHW to NHWC and back", "[ops]") {
    for (const Limits& limits : {Limits{}, Limits{.binding_bytes = 8192}, Limits{.workgroups = 1}})
        for (const Shape shape : {Shape{2, 8, 8, 4}, Shape{3, 5, 7, 12}, Shape{1, 1, 1, 4}}) {
            OperatorRun t(Precision::fp32, limits);
            const auto x = normal_values(shape.elements(), 1);
            const TensorId y =
                ops::nchw_to_nhwc(t.graph, t.input({1, 1, 1, std::uint32_t(x.size())}, DType::f32, x), shape);
            CHECK(t.graph.shape(y) == shape);
            const TensorId z = ops::nhwc_to_nchw(t.graph, y);
            t.run({y, z});
            std::vector<float> want(x.size());
            const std::size_t pixels = shape.tokens();
            for (std::size_t n = 0; n < shape.n; ++n)
                for (std::size_t p = 0; p < pixels; ++p)
                    for (std::size_t c = 0; c < shape.c; ++c)
                        want[(n * pixels + p) * shape.c + c] = x[(n * shape.c + c) * pixels + p];
            check_same_bits(t.floats(y), want);
            check_same_bits(t.floats(z), x);
        }
}

TEST_CASE("embedding from tables of every type, in pieces where a table is too large to bind", "[ops]") {
    struct Case {
        std::uint32_t vocabulary, k, n, tokens;
        Limits limits;
    };
    const Case cases[] = {
        {500, 768, 2, 77, {}}, {300, 16, 3, 77, {.binding_bytes = 16384}}, {40, 4, 1, 5, {.workgroups = 1}}};
    for (const Precision p : {Precision::exact, Precision::fp32, Precision::fp16})
        for (const Case& c : cases)
            for (const DType table_type : {DType::f32, DType::f16, DType::bf16})
                for (const DType position_type : {DType::f32, DType::f16}) {
                    const bool with_common = table_type == position_type;  // of the third type, then
                    const DType common_type = position_type == DType::f32 ? DType::bf16 : DType::f32;
                    INFO(name(p) << " k " << c.k << " types " << int(table_type) << " " << int(position_type));
                    OperatorRun t(p, c.limits);
                    const auto table = stored(normal_values(std::size_t(c.vocabulary) * c.k, 1), table_type);
                    const auto positions = stored(normal_values(std::size_t(77) * c.k, 2), position_type);
                    const auto common = stored(normal_values(std::size_t(2) * c.k, 3), common_type);
                    const Weight common_table = device_table(common, c.k, common_type);
                    std::vector<std::int32_t> tokens(std::size_t(c.n) * c.tokens);
                    for (std::size_t i = 0; i < tokens.size(); ++i)
                        tokens[i] = std::int32_t((i * 37 + 11) % c.vocabulary);
                    tokens.front() = std::int32_t(c.vocabulary - 1);
                    tokens.back() = 0;
                    const TensorId y = ops::embedding(t.graph, t.input_raw({c.n, 1, c.tokens, 1}, DType::i32, tokens),
                                                      device_table(table, c.k, table_type),
                                                      device_table(positions, c.k, position_type),
                                                      {.common = with_common ? &common_table : nullptr});
                    CHECK(t.graph.shape(y) == Shape{c.n, 1, c.tokens, c.k});
                    t.run({y});
                    std::vector<float> want;
                    for (std::size_t i = 0; i < tokens.size(); ++i)
                        for (std::size_t k = 0; k < c.k; ++k) {
                            const float sum = table[std::size_t(tokens[i]) * c.k + k] + positions[i % c.tokens * c.k + k];
                            want.push_back(with_common ? sum + common[k] : sum);
                        }
                    if (p == Precision::fp16)
                        check_close(t.floats(y), std::vector<double>(want.begin(), want.end()), 1e-4, 1e-3);
                    else
                        check_same_bits(t.floats(y), want);
                }
}

TEST_CASE("timestep_embedding: cosines, then sines", "[ops]") {
    ops::ExactFunctions exact;
    for (const std::uint32_t dim : {320u, 32u, 4u}) {
        OperatorRun t(Precision::fp32);
        const std::vector<float> times{0, 1, 999, 500.25f, 0.001f, 37.5f};
        const auto n = std::uint32_t(times.size());
        const TensorId y = ops::timestep_embedding(t.graph, t.input({1, 1, 1, n}, DType::f32, times), n, dim);
        CHECK(t.graph.shape(y) == Shape{n, 1, 1, dim});
        t.run({y});
        std::vector<float> bits;
        std::vector<double> want;
        const std::uint32_t half = dim / 2;
        for (const float time : times) {
            for (std::uint32_t i = 0; i < dim; ++i) {
                const float numerator = -9.21034037f * float(i % half);
                const float angle = time * exact.exact_exp(exact.exact_div(numerator, float(half)));
                bits.push_back(i < half ? exact.exact_cos(angle) : exact.exact_sin(angle));
                const double f = std::pow(10000.0, -double(i % half) / half);
                want.push_back(i < half ? std::cos(time * f) : std::sin(time * f));
            }
        }
        check_same_bits(t.floats(y), bits);
        // An angle near 1000 in float is good to 3e-5, its frequency to 1e-7.
        check_close(t.floats(y), want, 1.5e-4, 0);
    }
}

TEST_CASE("random_normal draws what the CUDA generator draws", "[ops]") {
    struct Case {
        std::uint64_t seed;
        Shape shape;
        const char* file;
    };
    const Case cases[] = {{0, {1, 1, 3, 4}, "philox_0_1x4x1x3"},
                          {1, {1, 8, 8, 4}, "philox_1_1x4x8x8"},
                          {42, {1, 9, 13, 4}, "philox_42_1x4x9x13"},
                          {1234567890, {1, 64, 64, 4}, "philox_1234567890_1x4x64x64"},
                          {4294967301, {1, 8, 8, 4}, "philox_4294967301_1x4x8x8"}};
    for (const Case& c : cases) {
        INFO(c.file);
        const auto golden = need(read_npy<float>(std::string(PUMICE_TEST_DATA "/goldens/rng/") + c.file + ".npy"));
        OperatorRun t(Precision::fp32, {.binding_bytes = 8192});
        const TensorId y = ops::random_normal(t.graph, c.shape, std::array{c.seed}, 0);
        t.run({y});
        std::vector<double> want(golden.data.size());
        const std::size_t pixels = c.shape.tokens();
        for (std::size_t i = 0; i < want.size(); ++i) want[i % pixels * 4 + i / pixels] = golden.data[i];
        check_close(t.floats(y), want, 2e-6, 0);
    }
}

TEST_CASE("random_normal agrees with the host's generator, also in later draws and batches", "[ops]") {
    const Shape shape{3, 128, 128, 4};
    const std::array<std::uint64_t, 3> seeds{7, 0xffffffffffffffffu, 1ull << 40};
    for (const std::uint32_t draw : {0u, 5u}) {
        OperatorRun t(Precision::exact);
        const TensorId y = ops::nhwc_to_nchw(t.graph, ops::random_normal(t.graph, shape, seeds, draw));
        t.run({y});
        std::vector<double> want;
        for (const std::uint64_t seed : seeds) {
            NoiseSource source(RngKind::philox, seed);
            std::vector<float> noise(shape.elements() / shape.n);
            for (std::uint32_t i = 0; i <= draw; ++i) source.normal(noise);
            want.insert(want.end(), noise.begin(), noise.end());
        }
        check_close(t.floats(y), want, 2e-6, 0);
    }
}

TEST_CASE("slice_channels", "[ops]") {
    struct Case {
        Shape x;
        std::uint32_t first, count;
        Limits limits;
    };
    const Case cases[] = {{{2, 1, 77, 48}, 16, 16, {}},
                          {{1, 5, 3, 8}, 0, 4, {}},
                          {{3, 9, 7, 36}, 28, 8, {.binding_bytes = 8192}},
                          {{1, 8, 8, 16}, 4, 12, {.workgroups = 2}}};
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : cases) {
            OperatorRun t(Precision::fp32, c.limits);
            const auto x = stored(normal_values(c.x.elements(), 1), type);
            const TensorId y = ops::slice_channels(t.graph, t.input(c.x, type, x), c.first, c.count);
            CHECK(t.graph.shape(y) == Shape{c.x.n, c.x.h, c.x.w, c.count});
            t.run({y});
            std::vector<float> want;
            for (std::uint64_t row = 0; row < c.x.rows(); ++row)
                for (std::uint32_t k = 0; k < c.count; ++k) want.push_back(x[row * c.x.c + c.first + k]);
            check_same_bits(t.floats(y), want);
        }
    for (const auto& [first, count] : {std::pair{2u, 4u}, {0u, 6u}, {12u, 8u}, {0u, 0u}}) {
        OperatorRun t(Precision::fp32);
        const TensorId x = t.input({1, 1, 1, 16}, DType::f32, std::vector<float>(16));
        CHECK_FALSE(ops::slice_channels(t.graph, x, first, count));
        REQUIRE(t.graph.error());
        CHECK(t.graph.error()->message.find("channels from") != std::string::npos);
    }
}

TEST_CASE("blend", "[ops]") {
    for (const Limits& limits : {Limits{}, Limits{.binding_bytes = 8192}, Limits{.workgroups = 2}}) {
        OperatorRun t(Precision::fp32, limits);
        const Shape shape{2, 9, 7, 4};
        const auto a = normal_values(shape.elements(), 1), b = normal_values(shape.elements(), 2);
        std::vector<float> mask(shape.elements());
        for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = static_cast<float>(i % 5) / 4;
        const TensorId y = ops::blend(t.graph, t.input(shape, DType::f32, a), t.input(shape, DType::f32, b),
                                      t.input(shape, DType::f32, mask));
        t.run({y});
        std::vector<float> want;
        for (std::size_t i = 0; i < mask.size(); ++i) {
            const float kept = a[i] * mask[i], made = b[i] * (1 - mask[i]);
            want.push_back(kept + made);
        }
        check_same_bits(t.floats(y), want);
    }
}
