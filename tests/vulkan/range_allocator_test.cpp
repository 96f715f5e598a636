#include "vulkan/range_allocator.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include "catch.hpp"

using pumice::RangeAllocator;

TEST_CASE("ranges are aligned, disjoint and reused", "[vulkan]") {
    RangeAllocator ranges(1000);
    CHECK(ranges.empty());
    CHECK(ranges.take(10, 1) == 0u);
    CHECK(ranges.take(10, 64) == 64u);
    CHECK(ranges.take(54, 1) == 10u);  // the gap that the alignment left
    CHECK(ranges.take(926, 1) == 74u);
    CHECK_FALSE(ranges.take(1, 1));
    CHECK(ranges.free_bytes() == 0);
    ranges.give_back(10, 54);
    CHECK_FALSE(ranges.take(54, 64));  // 10 is not a multiple of 64
    CHECK(ranges.take(54, 2) == 10u);
}

TEST_CASE("the smallest gap that fits is taken", "[vulkan]") {
    RangeAllocator ranges(1000);
    REQUIRE(ranges.take(1000, 1));
    ranges.give_back(0, 300);
    ranges.give_back(500, 100);
    ranges.give_back(800, 200);
    CHECK(ranges.take(90, 1) == 500u);
    CHECK(ranges.take(150, 1) == 800u);
    CHECK(ranges.take(300, 1) == 0u);
}

TEST_CASE("neighbours join in any order of giving back", "[vulkan]") {
    std::vector<std::uint64_t> order{0, 1, 2, 3};
    do {
        RangeAllocator ranges(400);
        for (int i = 0; i < 4; ++i) REQUIRE(ranges.take(100, 100));
        CHECK_FALSE(ranges.empty());
        for (const std::uint64_t i : order) ranges.give_back(i * 100, 100);
        CHECK(ranges.empty());
        CHECK(ranges.take(400, 1) == 0u);
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a long random life never overlaps and ends empty", "[vulkan]") {
    constexpr std::uint64_t kSize = 4096;
    struct Taken {
        std::uint64_t offset, size;
    };
    std::mt19937 random(7);
    RangeAllocator ranges(kSize);
    std::vector<Taken> taken;
    std::vector<bool> used(kSize);
    for (int step = 0; step < 20000; ++step) {
        if (random() % 2 || taken.empty()) {
            const std::uint64_t size = 1 + random() % 300, alignment = std::uint64_t(1) << random() % 9;
            const auto offset = ranges.take(size, alignment);
            if (!offset) continue;
            REQUIRE(*offset % alignment == 0);
            REQUIRE(*offset + size <= kSize);
            for (std::uint64_t i = *offset; i < *offset + size; ++i) {
                REQUIRE_FALSE(used[i]);
                used[i] = true;
            }
            taken.push_back({*offset, size});
        } else {
            std::swap(taken[random() % taken.size()], taken.back());
            ranges.give_back(taken.back().offset, taken.back().size);
            std::fill_n(used.begin() + static_cast<std::ptrdiff_t>(taken.back().offset), taken.back().size, false);
            taken.pop_back();
        }
        REQUIRE(ranges.free_bytes() == static_cast<std::uint64_t>(std::count(used.begin(), used.end(), false)));
    }
    for (const Taken& t : taken) ranges.give_back(t.offset, t.size);
    CHECK(ranges.empty());
}
