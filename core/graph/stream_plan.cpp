#include "graph/stream_plan.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "vulkan/vk_error.hpp"

namespace pumice {
namespace {

// A slot of this size is brought in while a segment runs; larger ones keep less beside them.
constexpr std::uint64_t kSlotBytes = std::uint64_t(64) << 20;
constexpr std::uint64_t kSlotPart = 8;  // of the budget, at most, where no single weight needs more

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

struct Planner {
    const WeightUses& uses;
    std::uint64_t alignment;

    std::uint64_t size(std::uint32_t weight) const { return round_up(uses.sizes[weight], alignment); }

    /// What one node reads of the weights that do not stay.
    std::uint64_t largest_node(const std::vector<bool>& stays) const {
        std::uint64_t most = 0;
        for (const auto& node : uses.nodes) {
            std::uint64_t sum = 0;
            for (const std::uint32_t w : node) sum += stays[w] ? 0 : size(w);
            most = std::max(most, sum);
        }
        return most;
    }

    /// Takes the smallest weights until `room` is full.
    std::vector<bool> keep(std::uint64_t room, StreamPlan& plan) const {
        std::vector<std::uint32_t> order(uses.sizes.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return uses.sizes[a] < uses.sizes[b]; });
        std::vector<bool> stays(order.size(), false);
        for (const std::uint32_t w : order) {
            if (plan.resident_bytes + size(w) > room) break;
            plan.resident_bytes += size(w);
            plan.resident.push_back(w);
            stays[w] = true;
        }
        return stays;
    }

    void cut(const std::vector<bool>& stays, StreamPlan& plan) const {
        std::uint64_t filled = 0;
        std::vector<bool> placed(stays.size(), false);  // in the segment that is being made
        plan.segments.emplace_back();
        for (std::uint32_t n = 0; n < uses.nodes.size(); ++n) {
            const auto more = [&] {
                std::uint64_t sum = 0;
                for (const std::uint32_t w : uses.nodes[n]) sum += stays[w] || placed[w] ? 0 : size(w);
                return sum;
            };
            if (filled + more() > plan.slot_bytes) {
                plan.segments.push_back({n, {}});
                filled = 0;
                std::fill(placed.begin(), placed.end(), false);
            }
            for (const std::uint32_t w : uses.nodes[n]) {
                if (stays[w] || placed[w]) continue;
                placed[w] = true;
                plan.segments.back().places.push_back({w, filled});
                filled += size(w);
                plan.streamed_bytes += uses.sizes[w];
            }
        }
    }
};

}  // namespace

std::uint64_t WeightUses::total(std::uint64_t alignment) const {
    std::uint64_t sum = 0;
    for (const std::uint64_t size : sizes) sum += round_up(size, alignment);
    return sum;
}

Result<StreamPlan> plan_stream(const WeightUses& uses, std::uint64_t budget, std::uint64_t alignment,
                               const StreamSlots& existing) {
    const Planner planner{uses, alignment};
    StreamPlan plan;
    if (uses.total(alignment) <= budget) {
        planner.keep(budget, plan);
        return plan;
    }
    const std::uint64_t least = planner.largest_node(std::vector<bool>(uses.sizes.size(), false));
    if (existing.slots > 0 && least <= existing.bytes) {
        plan.slots = existing.slots;
        plan.slot_bytes = existing.bytes;
        plan.new_slots = false;
        planner.cut(planner.keep(budget, plan), plan);
        return plan;
    }
    if (least > budget)
        return Error{Code::out_of_device_memory,
                     fmt::format("its largest layer has weights of {}, and {} are left for them", bytes_text(least),
                                 bytes_text(budget))};
    const std::uint64_t slot = std::max(least, std::min(kSlotBytes, budget / kSlotPart));
    plan.slots = 2 * slot <= budget ? 2 : 1;
    plan.slot_bytes = slot;
    const auto stays = planner.keep(budget - plan.slots * slot, plan);
    planner.cut(stays, plan);
    return plan;
}

}  // namespace pumice
