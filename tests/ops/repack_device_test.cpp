#include "ops/operator_run.hpp"
#include "ops/ops.hpp"

namespace pumice {
namespace {

using namespace pumice::test;

/// Repacks `host` in ranges of `rows` rows into memory full of ones.
std::vector<std::byte> repacked(const HostWeight& host, std::uint32_t rows) {
    const std::vector<std::byte> file = to_bytes(host.values, host.dtype);
    Weight w = host.describe();
    const std::vector<std::byte> ones(host.packed().size(), std::byte{0xff});
    w.range = OperatorRun::upload(ones);
    const std::uint64_t row_bytes = std::uint64_t(host.k) * host.taps() * size_of(host.dtype);
    for (std::uint32_t row = 0; row < host.n; row += rows) {
        const std::uint32_t count = std::min(rows, host.n - row);
        OperatorRun r(Precision::fp32);
        const auto part = std::span(file).subspan(row * row_bytes, count * row_bytes);
        const auto elements = static_cast<std::uint32_t>(part.size() / size_of(host.dtype));
        const TensorId source = r.graph.external({1, 1, 1, elements}, host.dtype, OperatorRun::upload(part), "source");
        ops::repack(r.graph, source, host.dtype, w, row, count);
        r.run(w.in(r.graph));
    }
    std::vector<std::byte> bytes(ones.size());
    need(read_range(gpu().device, w.range, bytes));
    return bytes;
}

}  // namespace

TEST_CASE("repack makes the packed layout", "[repack]") {
    struct Case {
        std::uint32_t n, k, kernel;
        bool geglu;
    };
    for (const Case& c : {Case{320, 40, 1, false},
                          {24, 320, 3, false},
                          {37, 7, 3, false},
                          {3, 13, 1, false},
                          {80, 20, 1, true},
                          {1, 1, 5, false}})
        for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
            Random random(c.n + c.k);
            const HostWeight host = HostWeight::random(c.n, c.k, c.kernel, c.kernel, type, random, c.geglu);
            for (const std::uint32_t rows : {c.n, 10u, 7u}) {
                INFO(c.n << " x " << c.k << ", " << c.kernel << " x " << c.kernel << ", type " << int(type) << ", "
                         << rows << " rows at a time");
                CHECK(repacked(host, rows) == host.packed());
            }
        }
}

TEST_CASE("repack moves bits, NaN and denormals too", "[repack]") {
    HostWeight host{4, 4, 1, 1, DType::f16, false, std::vector<float>(16)};
    OperatorRun r(Precision::fp32);
    std::vector<std::uint16_t> halves = {0x7e01, 0xfe55, 0x0001, 0x8001, 0x7c00, 0xfc00, 0x7bff, 0x0000,
                                         0x8000, 0x03ff, 0x0400, 0x3c00, 0x1234, 0xabcd, 0x7fff, 0xffff};
    Weight w = host.describe();
    w.range = OperatorRun::upload(std::as_bytes(std::span(halves)));
    const TensorId source =
        r.graph.external({1, 1, 1, 16}, DType::f16, OperatorRun::upload(std::as_bytes(std::span(halves))), "source");
    ops::repack(r.graph, source, DType::f16, w, 0, 4);
    r.run(w.in(r.graph));
    std::vector<std::uint16_t> out(16);
    need(read_range(gpu().device, w.range, std::as_writable_bytes(std::span(out))));
    CHECK(out == halves);  // one quad of k: the packed order is the file's
}

TEST_CASE("repack refuses what does not fit", "[repack]") {
    Random random(1);
    const Weight w = HostWeight::random(16, 8, 1, 1, DType::f32, random).on_device();
    OperatorRun r(Precision::fp32);
    ops::repack(r.graph, r.graph.transient({1, 1, 1, 128}, DType::f32), DType::f32, w, 10, 7);
    REQUIRE(r.graph.error() != nullptr);
    CHECK(r.graph.error()->code == Code::invalid_argument);
    CHECK(r.graph.error()->message == "repack: rows 10 to 17 from {1, 1, 1, 128} f32 do not fit weight [16][8][1][1]");
}

}  // namespace pumice
