// group_norm, layer_norm, softmax.
#include <algorithm>
#include <cmath>

#include "ops/exact_reference.hpp"
#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

constexpr Precision kAll[] = {Precision::exact, Precision::fp32, Precision::fp16};

struct GroupCase {
    Shape shape;
    std::uint32_t groups;
    float mean;  ///< of the input, whose deviation is 1
    bool silu;
    Limits limits;
};
const GroupCase kGroupCases[] = {
    {{2, 8, 8, 1280}, 32, 0.3f, true, {}},
    {{1, 16, 16, 2560}, 32, 0, true, {}},  // the widest: skip and features
    {{2, 32, 32, 320}, 32, 0, false, {}},
    {{2, 8, 8, 32}, 32, 0, true, {}},                        // one channel a group
    {{1, 3, 5, 12}, 3, 0, false, {}},                        // fewer pixels than a chunk
    {{3, 7, 11, 36}, 6, 2, true, {.binding_bytes = 16384}},  // pieces across pictures, chunks of ragged end
    {{1, 200, 200, 4}, 2, 0, true, {.workgroups = 50}},      // more than 1024 short chunks
    {{1, 16, 16, 64}, 32, 1000, false, {}},                  // a mean far beyond the deviation
    {{2, 16, 16, 32}, 4, 0, true, {.gflops = 1e-5}}};

std::vector<double> group_norm_reference(const std::vector<float>& x, const std::vector<float>& gamma,
                                         const std::vector<float>& beta, const GroupCase& c, double eps) {
    const std::size_t pixels = c.shape.tokens(), channels = c.shape.c, width = channels / c.groups;
    std::vector<double> y(x.size());
    for (std::size_t n = 0; n < c.shape.n; ++n)
        for (std::size_t group = 0; group < c.groups; ++group) {
            double sum = 0, squares = 0;
            const auto each = [&](auto&& f) {
                for (std::size_t p = 0; p < pixels; ++p)
                    for (std::size_t k = 0; k < width; ++k) f((n * pixels + p) * channels + group * width + k);
            };
            each([&](std::size_t i) { sum += x[i]; });
            const double count = double(pixels * width), mean = sum / count;
            each([&](std::size_t i) { squares += (x[i] - mean) * (x[i] - mean); });
            const double factor = 1 / std::sqrt(squares / count + eps);
            each([&](std::size_t i) {
                const double v = (x[i] - mean) * factor * gamma[i % channels] + beta[i % channels];
                y[i] = c.silu ? v / (1 + std::exp(-v)) : v;
            });
        }
    return y;
}

/// The exact kernel's own steps: shaders/group_norm.comp.
std::vector<float> group_norm_bits(const std::vector<float>& x, const std::vector<float>& gamma,
                                   const std::vector<float>& beta, const GroupCase& c, float eps) {
    ops::ExactFunctions exact;
    const std::size_t pixels = c.shape.tokens(), channels = c.shape.c, width = channels / c.groups;
    std::size_t length = 32;
    while ((pixels + length - 1) / length > 1024) length *= 2;
    const std::size_t chunks = (pixels + length - 1) / length, run = (chunks + 63) / 64;
    const auto count = [&](std::size_t chunk) { return std::min(length, pixels - chunk * length); };
    std::vector<float> y(x.size()), mean(chunks * channels), squares(chunks * channels);
    for (std::size_t n = 0; n < c.shape.n; ++n) {
        for (std::size_t chunk = 0; chunk < chunks; ++chunk)
            for (std::size_t k = 0; k < channels; ++k) {
                const float* at = &x[(n * pixels + chunk * length) * channels + k];
                float sum = 0, square = 0;
                for (std::size_t p = 1; p < count(chunk); ++p) {
                    const float d = at[p * channels] - at[0];
                    sum = sum + d;
                    square = square + d * d;
                }
                const float shift = sum * exact.exact_recip(float(count(chunk)));
                mean[chunk * channels + k] = at[0] + shift;
                squares[chunk * channels + k] = square - sum * shift;
            }
        const auto in_order = [&](auto&& term) {  // 64 runs of neighbouring chunks, then these
            float all = 0;
            for (std::size_t r = 0; r < 64; ++r) {
                float part = 0;
                for (std::size_t chunk = std::min(r * run, chunks); chunk < std::min((r + 1) * run, chunks); ++chunk)
                    for (std::size_t k = 0; k < width; ++k) part = part + term(chunk, k);
                all = all + part;
            }
            return all;
        };
        for (std::size_t group = 0; group < c.groups; ++group) {
            const float each = exact.exact_recip(float(pixels) * float(width));
            const auto at = [&](std::size_t chunk, std::size_t k) { return chunk * channels + group * width + k; };
            const float m =
                in_order([&](std::size_t chunk, std::size_t k) { return float(count(chunk)) * mean[at(chunk, k)]; }) *
                each;
            const float s = in_order([&](std::size_t chunk, std::size_t k) {
                const float d = mean[at(chunk, k)] - m;
                return squares[at(chunk, k)] + float(count(chunk)) * (d * d);
            });
            const float inverse = exact.exact_rsqrt(s * each + eps);
            for (std::size_t k = group * width; k < (group + 1) * width; ++k) {
                const float factor = gamma[k] * inverse, shift = beta[k] - m * factor;
                for (std::size_t p = 0; p < pixels; ++p) {
                    const std::size_t i = (n * pixels + p) * channels + k;
                    const float v = x[i] * factor + shift;
                    y[i] = c.silu ? exact.exact_silu(v) : v;
                }
            }
        }
    }
    return y;
}

struct RowCase {
    Shape shape;
    Limits limits;
};
const RowCase kRowCases[] = {{{2, 1, 77, 768}, {}},
                             {{1, 16, 16, 320}, {}},
                             {{1, 1, 13, 1280}, {}},
                             {{3, 1, 77, 16}, {.binding_bytes = 4096}},
                             {{1, 1, 1, 4}, {}},
                             {{1, 5, 41, 36}, {.workgroups = 3}},
                             {{1, 1, 64, 64}, {.gflops = 1e-5}}};

/// Eight partial sums over every eighth quad, then these: shaders/include/reduce.glsl.
template <class F>
float sum_in_lanes(std::size_t channels, F&& quad) {
    float all = 0;
    for (std::size_t lane = 0; lane < 8; ++lane) {
        float part = 0;
        for (std::size_t c = 4 * lane; c < channels; c += 32) part = part + quad(c);
        all = lane == 0 ? part : all + part;
    }
    return all;
}

}  // namespace

TEST_CASE("group_norm", "[ops]") {
    for (const Precision p : kAll)
        for (const GroupCase& c : kGroupCases) {
            INFO(name(p) << " " << c.shape.n << "x" << c.shape.h << "x" << c.shape.w << "x" << c.shape.c);
            OperatorRun t(p, c.limits);
            const auto gamma = normal_values(c.shape.c, 1, 0.3f, 1), beta = normal_values(c.shape.c, 2);
            const auto x = stored(normal_values(c.shape.elements(), 3, 1, c.mean), t.graph.activation());
            const float eps = 1e-5f;
            const TensorId y = ops::group_norm(t.graph, t.input(c.shape, x), device_vector(gamma), device_vector(beta),
                                               {.groups = c.groups, .eps = eps, .silu = c.silu});
            t.run({y});
            if (p == Precision::exact) check_same_bits(t.floats(y), group_norm_bits(x, gamma, beta, c, eps));
            // x times the factor is as large as the mean over the deviation before the shift takes that away.
            const double rounding = p == Precision::fp16 ? 2e-3 : 1e-5 + 5e-7 * std::fabs(c.mean);
            check_close(t.floats(y), group_norm_reference(x, gamma, beta, c, eps), rounding, rounding);
        }
}

TEST_CASE("group_norm of a small input follows its eps", "[ops]") {
    for (const float eps : {1e-5f, 1e-6f}) {
        const GroupCase c{{1, 8, 8, 64}, 32, 0, false, {}};
        OperatorRun t(Precision::fp32);
        const std::vector<float> gamma(64, 1), beta(64, 0);
        const auto x = normal_values(c.shape.elements(), 3, 1e-3f);
        const TensorId y = ops::group_norm(t.graph, t.input(c.shape, x), device_vector(gamma), device_vector(beta),
                                           {.groups = 32, .eps = eps, .silu = false});
        t.run({y});
        check_close(t.floats(y), group_norm_reference(x, gamma, beta, c, eps), 1e-6, 1e-5);
    }
}

TEST_CASE("layer_norm", "[ops]") {
    ops::ExactFunctions exact;
    for (const Precision p : kAll)
        for (const RowCase& c : kRowCases) {
            INFO(name(p) << " " << c.shape.rows() << " rows of " << c.shape.c);
            OperatorRun t(p, c.limits);
            const std::size_t n = c.shape.c;
            const auto gamma = normal_values(n, 1, 0.3f, 1), beta = normal_values(n, 2);
            const auto x = stored(normal_values(c.shape.elements(), 3, 2, 5), t.graph.activation());
            const TensorId y = ops::layer_norm(t.graph, t.input(c.shape, x), device_vector(gamma), device_vector(beta));
            t.run({y});
            std::vector<double> want(x.size());
            std::vector<float> bits(x.size());
            for (std::size_t r = 0; r < c.shape.rows(); ++r) {
                const float* row = &x[r * n];
                double sum = 0, squares = 0;
                for (std::size_t i = 0; i < n; ++i) sum += row[i];
                const double mean = sum / double(n);
                for (std::size_t i = 0; i < n; ++i) squares += (row[i] - mean) * (row[i] - mean);
                const double factor = 1 / std::sqrt(squares / double(n) + 1e-5);
                for (std::size_t i = 0; i < n; ++i) want[r * n + i] = (row[i] - mean) * factor * gamma[i] + beta[i];

                const float m = exact.exact_div(
                    sum_in_lanes(n, [&](std::size_t k) { return (row[k] + row[k + 1]) + (row[k + 2] + row[k + 3]); }),
                    float(n));
                const float variance =
                    exact.exact_div(sum_in_lanes(n,
                                                 [&](std::size_t k) {
                                                     float d[4];
                                                     for (std::size_t i = 0; i < 4; ++i) d[i] = row[k + i] - m;
                                                     return (d[0] * d[0] + d[1] * d[1]) + (d[2] * d[2] + d[3] * d[3]);
                                                 }),
                                    float(n));
                const float inverse = exact.exact_rsqrt(variance + 1e-5f);
                for (std::size_t i = 0; i < n; ++i) bits[r * n + i] = (row[i] - m) * inverse * gamma[i] + beta[i];
            }
            if (p == Precision::exact) check_same_bits(t.floats(y), bits);
            check_close(t.floats(y), want, p == Precision::fp16 ? 2e-3 : 1e-5, p == Precision::fp16 ? 1e-3 : 1e-5);
        }
}

TEST_CASE("softmax", "[ops]") {
    ops::ExactFunctions exact;
    for (const Precision p : kAll)
        for (const RowCase& c : kRowCases) {
            INFO(name(p) << " " << c.shape.rows() << " rows of " << c.shape.c);
            OperatorRun t(p, c.limits);
            const std::size_t n = c.shape.c;
            auto values = normal_values(c.shape.elements(), 3, 4);
            values[0] = 300;  // its row is one hot
            values[n - 1] = -300;
            const auto x = stored(values, t.graph.activation());
            const TensorId y = ops::softmax(t.graph, t.input(c.shape, x));
            t.run({y});
            std::vector<double> want(x.size());
            std::vector<float> bits(x.size());
            for (std::size_t r = 0; r < c.shape.rows(); ++r) {
                const float* row = &x[r * n];
                const float top = *std::max_element(row, row + n);
                double sum = 0;
                for (std::size_t i = 0; i < n; ++i) sum += std::exp(double(row[i]) - top);
                for (std::size_t i = 0; i < n; ++i) want[r * n + i] = std::exp(double(row[i]) - top) / sum;

                const auto weight = [&](std::size_t i) { return exact.exact_exp(row[i] - top); };
                const float inverse = exact.exact_recip(sum_in_lanes(
                    n, [&](std::size_t k) { return (weight(k) + weight(k + 1)) + (weight(k + 2) + weight(k + 3)); }));
                for (std::size_t i = 0; i < n; ++i) bits[r * n + i] = weight(i) * inverse;
            }
            if (p == Precision::exact) check_same_bits(t.floats(y), bits);
            check_close(t.floats(y), want, p == Precision::fp16 ? 1e-4 : 1e-7, p == Precision::fp16 ? 2e-3 : 1e-5);
        }
}

TEST_CASE("norms name what they cannot do", "[ops]") {
    OperatorRun t(Precision::fp32);
    const std::vector<float> values(64, 1);
    const Weight w = device_vector(std::vector<float>(8, 1));
    ops::group_norm(t.graph, t.input({1, 2, 4, 8}, values), w, w, {.groups = 3});
    REQUIRE(t.graph.error());
    CHECK(t.graph.error()->code == Code::invalid_argument);
    CHECK(t.graph.error()->message.find("3 groups") != std::string::npos);
    OperatorRun u(Precision::fp32);
    ops::layer_norm(u.graph, u.input({1, 1, 4, 16}, values), device_vector(std::vector<float>(8, 1)),
                    device_vector(std::vector<float>(8, 1)));
    REQUIRE(u.graph.error());
    CHECK(u.graph.error()->message.find("layer_norm") != std::string::npos);
}
