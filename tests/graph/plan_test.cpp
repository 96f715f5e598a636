#include "graph/plan.hpp"

#include <random>

#include "catch.hpp"

using namespace pumice;

namespace {

Capabilities small_caps() {
    Capabilities caps;
    caps.max_storage_buffer_range = 1 << 16;
    caps.storage_offset_alignment = 64;
    return caps;
}

Dispatch touch(const Graph& g, std::vector<TensorId> reads, std::vector<TensorId> writes) {
    Dispatch d;
    for (const TensorId id : reads) d.bindings.push_back(g.bind(id, Access::read));
    for (const TensorId id : writes) d.bindings.push_back(g.bind(id, Access::write));
    return d;
}

/// A chain a → b → c → …, each read once by the next.
Graph chain(const Capabilities& caps, std::size_t length, std::uint32_t elements) {
    Graph g(caps, Precision::fp32);
    TensorId previous = g.transient({1, 1, 1, elements}, DType::f32);
    g.add({"first", {touch(g, {}, {previous})}});
    for (std::size_t i = 1; i < length; ++i) {
        const TensorId next = g.transient({1, 1, 1, elements}, DType::f32);
        g.add({"next", {touch(g, {previous}, {next})}});
        previous = next;
    }
    return g;
}

}  // namespace

TEST_CASE("a chain needs two buffers however long it is", "[graph]") {
    const Capabilities caps = small_caps();
    const Graph g = chain(caps, 50, 1024);
    const Plan p = plan(g, 1 << 30);
    CHECK(p.peak == 2 * 4096);
    CHECK(p.total() == 2 * 4096);
    CHECK(p.page_sizes.size() == 1);
}

TEST_CASE("tensors that live at the same time never overlap", "[graph]") {
    const Capabilities caps = small_caps();
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        Graph g(caps, Precision::fp16);
        std::vector<TensorId> ids;
        for (int i = 0; i < 60; ++i) {
            const auto rows = static_cast<std::uint32_t>(1 + random() % 200);
            const auto channels = static_cast<std::uint32_t>(4 * (1 + random() % 40));
            ids.push_back(g.transient({1, 1, rows, channels}, DType::f16));
            std::vector<TensorId> reads;
            for (int r = 0; r < 3 && i > 0; ++r) reads.push_back(ids[random() % static_cast<unsigned>(i)]);
            g.add({"node", {touch(g, reads, {ids.back()})}});
        }
        g.keep(ids[5]);
        const std::uint64_t page_limit = 100'000;
        const Plan p = plan(g, page_limit);
        const auto lives = lifetimes(g);
        CHECK(lives[5].last >= 60);
        CHECK(p.total() >= p.peak);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto& a = p.placements[i];
            REQUIRE(a.page < p.page_sizes.size());
            REQUIRE(a.offset % 256 == 0);
            REQUIRE(a.offset + g.tensors()[i].bytes() <= p.page_sizes[a.page]);
            for (std::size_t j = 0; j < i; ++j) {
                const auto& b = p.placements[j];
                const bool same_time = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
                const bool same_place = a.page == b.page && a.offset < b.offset + g.tensors()[j].bytes() &&
                                        b.offset < a.offset + g.tensors()[i].bytes();
                CHECK_FALSE((same_time && same_place));
            }
        }
        for (const std::uint64_t size : p.page_sizes) CHECK(size <= page_limit);
    }
}

TEST_CASE("a tensor above the page limit has a page of its own", "[graph]") {
    const Capabilities caps = small_caps();
    const Graph g = chain(caps, 3, 4096);
    const Plan p = plan(g, 1024);
    CHECK(p.page_sizes == std::vector<std::uint64_t>{16384, 16384});
}

TEST_CASE("external tensors take no place", "[graph]") {
    const Capabilities caps = small_caps();
    Graph g(caps, Precision::fp32);
    const TensorId unused = g.transient({1, 1, 1, 64}, DType::f32);
    const Plan p = plan(g, 1 << 20);
    CHECK(p.placements[unused.index].page == UINT32_MAX);
    CHECK(p.total() == 0);
}

TEST_CASE("rows are cut into even pieces under both limits", "[graph]") {
    Capabilities caps = small_caps();
    const Graph g(caps, Precision::fp32, 1e-3);  // 200 000 FLOP a dispatch
    CHECK(g.rows_per_dispatch(100, 64, 1) == 100);
    CHECK(g.rows_per_dispatch(1024, 64, 0) == 1024);      // exactly the binding limit of 65 536 bytes
    CHECK(g.rows_per_dispatch(2048, 64, 0) == 683);       // three even pieces, because a cut range needs slack
    CHECK(g.rows_per_dispatch(100, 64, 20'000) == 10);
    CHECK(g.rows_per_dispatch(100, 64, 20'000, 8) == 8);
    CHECK(g.rows_per_dispatch(100, 64, 1e9, 8) == 8);     // never less than `multiple`
}

TEST_CASE("a bound range starts at the device's alignment", "[graph]") {
    const Capabilities caps = small_caps();
    Graph g(caps, Precision::fp16);
    const TensorId id = g.transient({1, 8, 8, 12}, DType::f16);
    std::uint32_t base = 0;
    const Binding b = g.bind(id, 60, 24, Access::read, base);
    CHECK(b.offset == 64);
    CHECK(base == 28);
    CHECK(b.size % 16 == 0);
    CHECK(b.offset + b.size >= (60 + 24) * 2);
}
