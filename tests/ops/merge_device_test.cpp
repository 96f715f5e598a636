#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

namespace pumice {
namespace {

using namespace pumice::test;
using Kind = ops::MergeChange::Kind;
using Magnitudes = ops::MergeChange::Magnitudes;

/// shaders/merge.comp in double.
struct Reference {
    const ops::MergeChange& c;
    const std::vector<float>& f;
    std::vector<float> w;
    std::uint32_t m;

    double product(std::uint32_t left, std::uint32_t right, std::uint32_t rank, std::uint32_t row,
                   std::uint32_t col) const {
        double sum = 0;
        for (std::uint32_t i = 0; i < rank; ++i)
            sum += double(f[left + row * rank + i]) * double(f[right + i * m + col]);
        return sum;
    }
    double delta(std::uint32_t row, std::uint32_t col) const {
        const std::uint32_t channel = col / c.taps, tap = col % c.taps;
        switch (c.kind) {
            case Kind::low_rank:
                return product(c.a, c.b, c.rank, row, col);
            case Kind::hadamard:
                return product(c.a, c.b, c.rank, row, col) * product(c.c, c.d, c.rank2, row, col);
            case Kind::kronecker:
                return double(f[c.a + row / c.b_rows * c.rank + channel / c.rank2]) *
                       double(f[c.b + (row % c.b_rows * c.rank2 + channel % c.rank2) * c.taps + tap]);
            case Kind::difference:
                return double(f[c.a + row * m + col]);
            case Kind::rows:
                return double(value(row, col)) * double(f[c.a + row]);
            case Kind::columns:
                return double(value(row, col)) * double(f[c.a + channel]);
        }
        return 0;
    }
    float value(std::uint32_t row, std::uint32_t col) const { return w[(c.row0 + row) * m + col]; }
    double changed(std::uint32_t row, std::uint32_t col) const {
        return double(value(row, col)) + double(c.factor) * delta(row, col);
    }
    std::vector<double> lengths() const {
        const bool of_rows = c.magnitudes == Magnitudes::rows;
        std::vector<double> squares(of_rows ? c.rows : m / c.taps, 0);
        for (std::uint32_t row = 0; row < c.rows; ++row)
            for (std::uint32_t col = 0; col < m; ++col) {
                const double v = of_rows ? double(value(row, col)) : changed(row, col);
                squares[of_rows ? row : col / c.taps] += v * v;
            }
        for (double& s : squares) s = std::sqrt(s);
        return squares;
    }
    std::vector<float> result() const {
        std::vector<float> out = w;
        const std::vector<double> length = c.magnitudes == Magnitudes::none ? std::vector<double>() : lengths();
        for (std::uint32_t row = 0; row < c.rows; ++row)
            for (std::uint32_t col = 0; col < m; ++col) {
                double v = changed(row, col);
                if (c.magnitudes != Magnitudes::none) {
                    const std::uint32_t i = c.magnitudes == Magnitudes::rows ? row : col / c.taps;
                    v = v * double(f[c.magnitude + i]) / length[i];
                    v = double(value(row, col)) + double(c.strength) * (v - double(value(row, col)));
                }
                out[(c.row0 + row) * m + col] = static_cast<float>(v);
            }
        return out;
    }
};

void check(ops::MergeChange c, std::uint32_t n, std::uint32_t k, const Limits& limits) {
    Random random(n + k + static_cast<std::uint32_t>(c.kind));
    const std::uint32_t m = k * c.taps;
    std::uint32_t places = 0;
    const auto place = [&](std::uint32_t count) { return std::exchange(places, places + count); };
    if (c.kind == Kind::low_rank || c.kind == Kind::hadamard) c.a = place(c.rows * c.rank), c.b = place(c.rank * m);
    if (c.kind == Kind::hadamard) c.c = place(c.rows * c.rank2), c.d = place(c.rank2 * m);
    if (c.kind == Kind::kronecker) c.a = place(c.rows / c.b_rows * c.rank), c.b = place(c.b_rows * c.rank2 * c.taps);
    if (c.kind == Kind::difference) c.a = place(c.rows * m);
    if (c.kind == Kind::rows) c.a = place(c.rows);
    if (c.kind == Kind::columns) c.a = place(k);
    c.magnitude = place(c.magnitudes == Magnitudes::rows ? c.rows : c.magnitudes == Magnitudes::channels ? k : 0);
    const std::vector<float> w = random.values(std::uint64_t(n) * m), f = random.values(places);

    OperatorRun r(Precision::exact, limits);
    const TensorId weight = r.input({1, 1, n, m}, DType::f32, w);
    ops::merge(r.graph, weight, r.input({1, 1, 1, places}, DType::f32, f), c);
    const std::vector<float> got = r.run(weight), wanted = Reference{c, f, w, m}.result();
    INFO("kind " << int(c.kind) << ", magnitudes " << int(c.magnitudes) << ", " << n << " x " << k << " x " << c.taps);
    // Sums of at most some hundred products of numbers below 1, in f32.
    for (std::size_t i = 0; i < got.size(); ++i)
        if (!(std::abs(got[i] - wanted[i]) <= 2e-5f * (1 + std::abs(wanted[i])))) {
            INFO("element " << i);
            REQUIRE(got[i] == wanted[i]);
        }
}

}  // namespace

TEST_CASE("merge changes a weight as its formulas say", "[merge]") {
    for (const Magnitudes magnitudes : {Magnitudes::none, Magnitudes::rows, Magnitudes::channels}) {
        check({.kind = Kind::low_rank,
               .magnitudes = magnitudes,
               .rows = 13,
               .taps = 1,
               .rank = 3,
               .factor = 0.5f,
               .strength = 0.7f},
              13, 9, {});
        check({.kind = Kind::hadamard,
               .magnitudes = magnitudes,
               .rows = 8,
               .taps = 9,
               .rank = 2,
               .rank2 = 3,
               .factor = -1,
               .strength = -0.4f},
              8, 5, {});
        check({.kind = Kind::kronecker,
               .magnitudes = magnitudes,
               .rows = 12,
               .taps = 9,
               .rank = 2,
               .rank2 = 3,
               .b_rows = 4,
               .strength = 2},
              12, 6, {});
    }
    check({.kind = Kind::difference, .rows = 7, .taps = 9, .factor = 0.3f}, 7, 4, {});
    check({.kind = Kind::rows, .rows = 7, .taps = 9, .factor = 0.3f}, 7, 4, {});
    check({.kind = Kind::columns, .rows = 7, .taps = 9, .factor = 0.3f}, 7, 4, {});
    // A third of the rows, as OpenCLIP's projections; cut into dispatches of a few rows.
    check({.kind = Kind::low_rank, .row0 = 10, .rows = 10, .rank = 4}, 30, 21, {.gflops = 1e-6});
    check({.kind = Kind::low_rank, .magnitudes = Magnitudes::channels, .row0 = 10, .rows = 10, .rank = 4}, 30, 130,
          {.gflops = 1e-6});
}

TEST_CASE("merge refuses what does not fit", "[merge]") {
    OperatorRun r(Precision::exact);
    const TensorId w = r.graph.transient({1, 1, 4, 8}, DType::f32), f = r.graph.transient({1, 1, 1, 23}, DType::f32);
    ops::merge(r.graph, w, f, {.rows = 4, .b = 8, .rank = 2});
    REQUIRE(r.graph.error());
    CHECK(r.graph.error()->message ==
          "merge: a change of 4 rows from 0 does not fit {1, 1, 4, 8} f32 and factors "
          "{1, 1, 1, 23} f32");
}

TEST_CASE("repack rounds f32 to the weight's type", "[repack]") {
    for (const DType type : {DType::f16, DType::bf16}) {
        Random random(7);
        HostWeight host = HostWeight::random(12, 7, 3, 3, DType::f32, random, false);
        Weight w = host.describe();
        w.dtype = type;
        HostWeight rounded = host;
        rounded.dtype = type;
        rounded.values = stored(host.values, type);
        w.range = OperatorRun::upload(std::vector<std::byte>(rounded.packed().size()));
        OperatorRun r(Precision::fp32);
        const TensorId source = r.input({1, 1, 12, 63}, DType::f32, host.values);
        ops::repack(r.graph, source, DType::f32, w, 0, 12);
        r.run(w.in(r.graph));
        std::vector<std::byte> bytes(rounded.packed().size());
        need(read_range(gpu().device, w.range, bytes));
        const std::vector<float> got = to_floats(bytes, type), wanted = to_floats(rounded.packed(), type);
        // A driver may round halves towards zero: one unit in the last place.
        for (std::size_t i = 0; i < got.size(); ++i)
            CHECK(std::abs(got[i] - wanted[i]) <= std::abs(wanted[i]) * 0x1p-10f);
        if (type == DType::bf16) CHECK(bytes == rounded.packed());
    }
}

}  // namespace pumice
