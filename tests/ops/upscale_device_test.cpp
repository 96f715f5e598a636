// What upscalers need: prelu, pixel_shuffle and pixel_unshuffle, resample.
#include <cmath>

#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

float at(const std::vector<float>& x, const Shape& s, std::uint32_t n, std::uint32_t h, std::uint32_t w,
         std::uint32_t c) {
    return x[((std::size_t(n) * s.h + h) * s.w + w) * s.c + c];
}

/// Pillow's filters.
double bicubic(double v) {
    const double a = std::fabs(v);
    if (a < 1) return (1.5 * a - 2.5) * a * a + 1;
    return a < 2 ? (((a - 5) * a + 8) * a - 4) * -0.5 : 0;
}
double lanczos(double v) {
    const auto sinc = [](double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); };
    return std::fabs(v) < 3 ? sinc(v) * sinc(v / 3) : 0;
}

/// One row of `in` samples to `out`.
std::vector<double> resampled(const std::vector<double>& x, std::uint32_t out, ops::Resampling method) {
    const double in = double(x.size()), factor = in / out, wide = std::max(1.0, factor);
    const double support = (method == ops::Resampling::bicubic ? 2 : 3) * wide;
    std::vector<double> y;
    for (std::uint32_t i = 0; i < out; ++i) {
        const double centre = (i + 0.5) * factor;
        double sum = 0, total = 0;
        for (double t = std::max(0.0, std::floor(centre - support + 0.5));
             t < std::min(in, std::floor(centre + support + 0.5)); ++t) {
            const double d = (t - centre + 0.5) / wide,
                         w = method == ops::Resampling::bicubic ? bicubic(d) : lanczos(d);
            sum += w * x[std::size_t(t)];
            total += w;
        }
        y.push_back(sum / total);
    }
    return y;
}

/// Columns, then rows.
std::vector<double> reference(const std::vector<float>& x, const Shape& s, std::uint32_t rows, std::uint32_t columns,
                              ops::Resampling method) {
    std::vector<double> y(std::size_t(s.n) * rows * columns * s.c);
    for (std::uint32_t n = 0; n < s.n; ++n)
        for (std::uint32_t c = 0; c < s.c; ++c) {
            std::vector<std::vector<double>> wide;
            for (std::uint32_t h = 0; h < s.h; ++h) {
                std::vector<double> row;
                for (std::uint32_t w = 0; w < s.w; ++w) row.push_back(at(x, s, n, h, w, c));
                wide.push_back(resampled(row, columns, method));
            }
            for (std::uint32_t w = 0; w < columns; ++w) {
                std::vector<double> column;
                for (const auto& row : wide) column.push_back(row[w]);
                const auto tall = resampled(column, rows, method);
                for (std::uint32_t h = 0; h < rows; ++h)
                    y[((std::size_t(n) * rows + h) * columns + w) * s.c + c] = tall[h];
            }
        }
    return y;
}

}  // namespace

TEST_CASE("prelu", "[ops]") {
    const Shape shape{2, 5, 7, 12};
    for (const Precision p : {Precision::exact, Precision::fp32, Precision::fp16})
        for (const Limits& limits : {Limits{}, Limits{.binding_bytes = 1024}, Limits{.workgroups = 2}})
            for (const std::uint32_t slopes : {12u, 10u}) {
                OperatorRun t(p, limits);
                const auto x = stored(normal_values(shape.elements(), 1), t.graph.activation());
                const auto a = normal_values(slopes, 2);
                const auto got = t.run(ops::prelu(t.graph, t.input(shape, x), device_vector(a)));
                std::vector<double> want;
                for (std::size_t i = 0; i < x.size(); ++i)
                    want.push_back(x[i] < 0 ? double(x[i]) * (i % 12 < slopes ? a[i % 12] : 0.0f) : double(x[i]));
                check_close(got, want, 1e-7, p == Precision::fp16 ? 1e-3 : 1e-6);
            }
    OperatorRun t(Precision::fp32);
    ops::prelu(t.graph, t.input({1, 1, 1, 4}, {1, 2, 3, 4}), device_vector(normal_values(5, 1)));
    REQUIRE(t.graph.error());
    CHECK(t.graph.error()->message.find("prelu: {1, 1, 1, 4} f32 with slopes") != std::string::npos);
}

TEST_CASE("pixel_shuffle and pixel_unshuffle", "[ops]") {
    struct Case {
        std::uint32_t n, h, w, r, channels;
        Limits limits;
    };
    const Case cases[] = {{1, 5, 7, 4, 3, {}},
                          {2, 4, 3, 2, 3, {}},
                          {1, 3, 5, 3, 5, {}},
                          {2, 6, 5, 2, 8, {.binding_bytes = 1024}},
                          {1, 4, 4, 1, 4, {}}};
    for (const DType type : {DType::f32, DType::f16})
        for (const Case& c : cases) {
            INFO(c.h << "x" << c.w << " by " << c.r << ", " << c.channels << " channels");
            const auto padded = [](std::uint32_t v) { return (v + 3) / 4 * 4; };
            const Shape small{c.n, c.h, c.w, padded(c.channels * c.r * c.r)};
            const Shape large{c.n, c.h * c.r, c.w * c.r, padded(c.channels)};
            OperatorRun t(Precision::fp32, c.limits);
            const auto x = stored(normal_values(small.elements(), 1), type),
                       z = stored(normal_values(large.elements(), 2), type);
            const TensorId shuffled = ops::pixel_shuffle(t.graph, t.input(small, type, x), c.r, c.channels);
            const TensorId gathered = ops::pixel_unshuffle(t.graph, t.input(large, type, z), c.r, c.channels);
            CHECK(t.graph.shape(shuffled) == large);
            CHECK(t.graph.shape(gathered) == small);
            t.run({shuffled, gathered});
            std::vector<float> want(large.elements()), back(small.elements());
            for (std::uint32_t n = 0; n < c.n; ++n)
                for (std::uint32_t i = 0; i < large.h; ++i)
                    for (std::uint32_t j = 0; j < large.w; ++j)
                        for (std::uint32_t k = 0; k < c.channels; ++k) {
                            const std::uint32_t channel = (k * c.r + i % c.r) * c.r + j % c.r;
                            want[((std::size_t(n) * large.h + i) * large.w + j) * large.c + k] =
                                at(x, small, n, i / c.r, j / c.r, channel);
                            back[((std::size_t(n) * small.h + i / c.r) * small.w + j / c.r) * small.c + channel] =
                                at(z, large, n, i, j, k);
                        }
            check_same_bits(t.floats(shuffled), want);
            check_same_bits(t.floats(gathered), back);
        }
    OperatorRun t(Precision::fp32);
    ops::pixel_unshuffle(t.graph, t.input({1, 3, 4, 4}, std::vector<float>(48)), 2, 3);
    CHECK(t.graph.error());
}

TEST_CASE("resample to any size as Pillow does", "[ops]") {
    struct Case {
        Shape in;
        std::uint32_t rows, columns;
        Limits limits;
    };
    const Case cases[] = {{{1, 9, 7, 4}, 36, 28, {}},
                          {{2, 12, 16, 8}, 5, 7, {}},  // smaller
                          {{1, 20, 6, 4}, 50, 3, {}},
                          {{1, 40, 24, 4}, 80, 48, {.binding_bytes = 16384}},
                          {{1, 40, 24, 4}, 13, 12, {.binding_bytes = 6144}},
                          {{1, 6, 6, 4}, 6, 6, {}}};
    for (const ops::Resampling method : {ops::Resampling::bicubic, ops::Resampling::lanczos})
        for (const Case& c : cases) {
            INFO(c.in.h << "x" << c.in.w << " to " << c.rows << "x" << c.columns);
            OperatorRun t(Precision::exact, c.limits);
            const auto x = normal_values(c.in.elements(), 1);
            const auto got = t.run(ops::resample(t.graph, t.input(c.in, x), c.rows, c.columns, method));
            check_close(got, reference(x, c.in, c.rows, c.columns, method), 2e-5, 2e-5);
        }
    OperatorRun half(Precision::fp16);
    const Shape in{1, 6, 5, 4};
    const auto x = stored(normal_values(in.elements(), 3), DType::f16);
    const auto got = half.run(ops::resample(half.graph, half.input(in, x), 12, 10, ops::Resampling::lanczos));
    check_close(got, reference(x, in, 12, 10, ops::Resampling::lanczos), 4e-3, 2e-3);
}

TEST_CASE("a window of a resampling has the numbers of the whole", "[ops]") {
    const Shape in{1, 60, 44, 4};
    const auto x = normal_values(in.elements(), 5);
    for (const auto& [rows, columns] : {std::pair{150u, 110u}, std::pair{25u, 31u}}) {
        OperatorRun t(Precision::exact);
        const auto whole = t.run(ops::resample(t.graph, t.input(in, x), rows, columns, ops::Resampling::lanczos));
        // Rows 10 to 20 and columns 6 to 17 of the result, from a part of the picture that has all they need.
        const std::uint32_t out_y = 10, out_x = 6, part_rows = 10, part_columns = 11;
        const double fy = 60.0 / rows, fx = 44.0 / columns;
        const auto from = [](double v) { return std::uint32_t(std::max(0.0, std::floor(v))); };
        const auto to = [](double v, std::uint32_t most) { return std::min(most, std::uint32_t(std::ceil(v))); };
        const double ry = 3 * std::max(1.0, fy) + 1, rx = 3 * std::max(1.0, fx) + 1;
        const std::uint32_t in_y = from(out_y * fy - ry), in_x = from(out_x * fx - rx);
        const Shape part{1, to((out_y + part_rows) * fy + ry, 60) - in_y,
                         to((out_x + part_columns) * fx + rx, 44) - in_x, 4};
        CHECK(part.elements() < in.elements());
        std::vector<float> values;
        for (std::uint32_t h = 0; h < part.h; ++h)
            for (std::uint32_t w = 0; w < part.w; ++w)
                for (std::uint32_t c = 0; c < 4; ++c) values.push_back(at(x, in, 0, in_y + h, in_x + w, c));
        OperatorRun window(Precision::exact);
        const auto got =
            window.run(ops::resample(window.graph, window.input(part, values), part_rows, part_columns,
                                     ops::Resampling::lanczos, {60, 44, in_y, in_x, rows, columns, out_y, out_x}));
        std::vector<float> want;
        for (std::uint32_t h = 0; h < part_rows; ++h)
            for (std::uint32_t w = 0; w < part_columns; ++w)
                for (std::uint32_t c = 0; c < 4; ++c)
                    want.push_back(at(whole, {1, rows, columns, 4}, 0, out_y + h, out_x + w, c));
        check_same_bits(got, want);
    }
}
