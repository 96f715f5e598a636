#include "ops/cases.hpp"
#include "ops/gemm_reference.hpp"
#include "ops/operator_run.hpp"

namespace pumice {
namespace {

using namespace pumice::test;

template <class T>
std::vector<T> reference(const MatmulCase& c, const std::vector<float>& a, const std::vector<float>& b) {
    const GemmReference<T> maths;
    std::vector<T> y;
    for (std::uint32_t n = 0; n < c.n; ++n)
        for (std::uint32_t row = 0; row < c.test_m; ++row)
            for (std::uint32_t column = 0; column < c.columns; ++column) {
                T sum = 0;
                for (std::uint32_t k = 0; k < c.k; ++k) {
                    const std::uint64_t at = c.transpose_b ? (std::uint64_t(n) * c.columns + column) * c.k + k
                                                           : (std::uint64_t(n) * c.k + k) * c.columns + column;
                    sum = maths.multiply_add(sum, a[(std::uint64_t(n) * c.test_m + row) * c.k + k], b[at]);
                }
                y.push_back(sum * T(c.scale));
            }
    return y;
}

struct Ran {
    std::vector<float> y;
    std::size_t dispatches;
};

Ran run(OperatorRun& r, const MatmulCase& c, DType type, const std::vector<float>& a, const std::vector<float>& b) {
    const TensorId ta = r.input({c.n, 1, c.test_m, c.k}, type, a);
    const TensorId tb = r.input(c.transpose_b ? Shape{c.n, 1, c.columns, c.k} : Shape{c.n, 1, c.k, c.columns}, type, b);
    const TensorId y = ops::matmul(r.graph, ta, tb, {c.transpose_b, c.scale});
    std::vector<float> values = r.run(y);
    REQUIRE(r.graph.shape(y) == Shape{c.n, 1, c.test_m, c.columns});
    return {values, r.dispatches()};
}

constexpr Precision all_precisions[] = {Precision::exact, Precision::fp32, Precision::fp16};

}  // namespace

TEST_CASE("matmul agrees with the reference", "[matmul]") {
    for (MatmulCase c : matmul_cases) {
        if (c.n > 2) c.n = 3;
        if (c.columns > 512) c.columns = 516;
        Random random(c.k);
        const auto a = random.values(std::uint64_t(c.n) * c.test_m * c.k);
        const auto b = random.values(std::uint64_t(c.n) * c.columns * c.k);
        for (const Precision precision : all_precisions)
            for (const bool f32_input : {false, true}) {
                INFO(c.name << ", precision " << int(precision) << ", f32 input " << f32_input);
                const DType type = precision == Precision::fp16 && !f32_input ? DType::f16 : DType::f32;
                const auto sa = stored(a, type), sb = stored(b, type);
                OperatorRun r(precision);
                const auto y = run(r, c, type, sa, sb).y;
                if (precision == Precision::exact)
                    CHECK(different_bits(y, reference<float>(c, sa, sb)) == "");
                else
                    CHECK(relative_error(y, reference<double>(c, sa, sb)) < gemm_tolerance(r.graph.activation()));
            }
    }
}

TEST_CASE("matmul cut into pieces gives the same", "[matmul]") {
    for (const bool transpose_b : {false, true}) {
        const MatmulCase c{"", 3, 0, 131, 32, 44, transpose_b, 0.5f};
        Random random(7);
        const auto a = random.values(std::uint64_t(c.n) * c.test_m * c.k);
        const auto b = random.values(std::uint64_t(c.n) * c.columns * c.k);
        for (const Precision precision : all_precisions) {
            INFO("transposed " << transpose_b << ", precision " << int(precision));
            const DType type = precision == Precision::fp16 ? DType::f16 : DType::f32;
            OperatorRun whole(precision);
            const Ran once = run(whole, c, type, a, b);
            CHECK(once.dispatches == 1);
            Capabilities small = gpu().device->caps();
            small.max_storage_buffer_range = 8 << 10;
            OperatorRun cut(precision, small);
            const Ran cut_run = run(cut, c, type, a, b);
            CHECK(cut_run.dispatches > 3);
            CHECK(different_bits(cut_run.y, once.y) == "");
            OperatorRun slow(precision, gpu().device->caps(), 1e-3);
            const Ran slow_run = run(slow, c, type, a, b);
            CHECK(slow_run.dispatches > 3);
            CHECK(different_bits(slow_run.y, once.y) == "");
        }
    }
}

TEST_CASE("matmul refuses what does not fit", "[matmul]") {
    OperatorRun r(Precision::fp32);
    CHECK(!ops::matmul(r.graph, r.graph.transient({2, 1, 5, 8}, DType::f32),
                       r.graph.transient({2, 1, 12, 8}, DType::f32)));
    REQUIRE(r.graph.error() != nullptr);
    CHECK(r.graph.error()->code == Code::invalid_argument);
    CHECK(r.graph.error()->message == "matmul: {2, 1, 5, 8} f32 times {2, 1, 12, 8} f32");
}

}  // namespace pumice
