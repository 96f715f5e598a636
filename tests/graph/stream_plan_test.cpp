#include "graph/stream_plan.hpp"

#include <numeric>
#include <random>
#include <set>

#include "catch.hpp"

using namespace pumice;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t(1) << 20;

/// A network of `count` layers, each with a large weight and a small one.
WeightUses layers(std::uint32_t count, std::uint64_t large) {
    WeightUses uses;
    for (std::uint32_t i = 0; i < count; ++i) {
        uses.sizes.push_back(large + i % 3 * 1000);
        uses.sizes.push_back(4 * (i + 1));
        uses.nodes.push_back({2 * i, 2 * i + 1});
        uses.nodes.push_back({});  // what has no weights
    }
    return uses;
}

/// Every node finds all its weights: they stay, or are in its segment and in nobody's way.
void check_plan(const WeightUses& uses, const StreamPlan& plan, std::uint64_t budget) {
    CHECK(plan.bytes() <= budget);
    const std::set<std::uint32_t> resident(plan.resident.begin(), plan.resident.end());
    CHECK(resident.size() == plan.resident.size());
    for (const StreamPlan::Segment& s : plan.segments) {
        std::uint64_t end = 0;  // places are in order
        for (const StreamPlan::Place& place : s.places) {
            CHECK(place.offset >= end);
            CHECK(place.offset % 256 == 0);
            CHECK(resident.count(place.weight) == 0);
            end = place.offset + uses.sizes[place.weight];
        }
        CHECK(end <= plan.slot_bytes);
    }
    std::size_t segment = 0;
    bool all_there = true;
    for (std::uint32_t n = 0; n < uses.nodes.size(); ++n) {
        while (segment + 1 < plan.segments.size() && plan.segments[segment + 1].first_node <= n) ++segment;
        for (const std::uint32_t w : uses.nodes[n]) {
            bool there = resident.count(w) > 0;
            if (!plan.segments.empty())
                for (const StreamPlan::Place& place : plan.segments[segment].places) there = there || place.weight == w;
            all_there = all_there && there;
        }
    }
    CHECK(all_there);
}

}  // namespace

TEST_CASE("weights that fit all stay", "[graph]") {
    const WeightUses uses = layers(10, kMiB);
    const auto plan = plan_stream(uses, uses.total(256));
    REQUIRE(plan);
    CHECK(plan->segments.empty());
    CHECK(plan->resident.size() == 20);
    CHECK(plan->bytes() == uses.total(256));
    check_plan(uses, *plan, uses.total(256));
}

TEST_CASE("one byte less, and the largest come and go through two slots", "[graph]") {
    const WeightUses uses = layers(10, kMiB);
    const std::uint64_t budget = uses.total(256) - 1;
    const auto plan = plan_stream(uses, budget);
    REQUIRE(plan);
    CHECK(plan->slots == 2);
    CHECK(plan->segments.size() > 1);
    CHECK(plan->segments.front().first_node == 0);
    // All the small ones stay, and what does not is brought in once a run.
    std::uint64_t small = 0, streamed = 0;
    for (const std::uint32_t w : plan->resident) small += w % 2;
    CHECK(small == 10);
    for (const StreamPlan::Segment& s : plan->segments)
        for (const StreamPlan::Place& p : s.places) streamed += uses.sizes[p.weight];
    CHECK(streamed == plan->streamed_bytes);
    check_plan(uses, *plan, budget);
}

TEST_CASE("with room for one layer there is one slot, and with less an error that says how much is needed", "[graph]") {
    const WeightUses uses = layers(4, kMiB);
    const std::uint64_t least = kMiB + 2000 + 2 * 256;
    const auto plan = plan_stream(uses, least);
    REQUIRE(plan);
    CHECK(plan->slots == 1);
    CHECK(plan->segments.size() == 4);
    check_plan(uses, *plan, least);
    const auto none = plan_stream(uses, kMiB / 2);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::out_of_device_memory);
    CHECK(none.error().message == "its largest layer has weights of 1 MiB, and 512 KiB are left for them");
}

TEST_CASE("a second program over the same weights goes through the slots that are there", "[graph]") {
    const WeightUses uses = layers(10, kMiB);
    const auto plan = plan_stream(uses, 0, 256, {2, 3 * kMiB});
    REQUIRE(plan);
    CHECK(plan->bytes() == 0);
    CHECK(plan->slot_bytes == 3 * kMiB);
    check_plan(uses, *plan, 0);
}

TEST_CASE("a weight that several nodes read is in the segment of each of them", "[graph]") {
    WeightUses uses;
    uses.sizes = {kMiB, kMiB, kMiB, 100};
    uses.nodes = {{0, 3}, {1}, {0}, {2}, {0, 2}, {3}};
    const auto plan = plan_stream(uses, 2 * kMiB + 512);
    REQUIRE(plan);
    // The widest node wants 2 MiB: the first two fit beside each other, then 0 is brought again, beside 2.
    REQUIRE(plan->segments.size() == 2);
    CHECK(plan->segments[1].first_node == 3);
    for (const StreamPlan::Segment& s : plan->segments) CHECK(s.places.size() == 2);
    CHECK(plan->streamed_bytes == 4 * kMiB);
    check_plan(uses, *plan, 2 * kMiB + 512);
}

TEST_CASE("any weights under any budget: a plan that holds, or one word why not", "[graph]") {
    std::mt19937 generator(7);
    const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
    for (int round = 0; round < 200; ++round) {
        WeightUses uses;
        const std::uint32_t weights = 1 + random() % 40, nodes = 1 + random() % 60;
        for (std::uint32_t i = 0; i < weights; ++i) uses.sizes.push_back(1 + random() % (1u << (random() % 22)));
        uses.nodes.resize(nodes);
        for (auto& node : uses.nodes)
            for (std::uint32_t k = random() % 4; k > 0; --k) {
                const std::uint32_t w = random() % weights;
                if (std::find(node.begin(), node.end(), w) == node.end()) node.push_back(w);
            }
        const std::uint64_t budget = 1 + random() % (uses.total(256) + 1000);
        const auto plan = plan_stream(uses, budget);
        if (plan) check_plan(uses, *plan, budget);
        else CHECK(plan.error().code == Code::out_of_device_memory);
    }
}
