// Which weights stay on the device and which come and go while a graph runs. Pure functions, tested without a device.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "graph/graph.hpp"

namespace pumice {

/// Weights by number, and where a graph uses them.
struct WeightUses {
    std::vector<std::uint64_t> sizes;               ///< bytes of each weight
    std::vector<std::vector<std::uint32_t>> nodes;  ///< by node of the graph: the weights that it reads
    std::uint64_t total(std::uint64_t alignment) const;
};

/// The weights that stay lie in memory of their own. The others are read from a ring of one or two slots: segment i of
/// the graph finds its weights in slot i % slots, while those of segment i + 1 are brought into the other.
struct StreamPlan {
    struct Place {
        std::uint32_t weight = 0;
        std::uint64_t offset = 0;  ///< in the slot
    };
    struct Segment {
        std::uint32_t first_node = 0;
        std::vector<Place> places;
    };
    std::vector<std::uint32_t> resident;  ///< numbers of weights that stay
    std::uint64_t resident_bytes = 0;
    std::vector<Segment> segments;        ///< empty: all stay
    std::uint32_t slots = 0;
    std::uint64_t slot_bytes = 0;
    std::uint64_t streamed_bytes = 0;     ///< brought in by one run
    /// Of new memory.
    std::uint64_t bytes() const { return resident_bytes + (new_slots ? slots * slot_bytes : 0); }
    bool new_slots = true;
};

/// Slots that are there already, of another program over the same weights.
struct StreamSlots {
    std::uint32_t slots = 0;  ///< 0: none
    std::uint64_t bytes = 0;  ///< of each
};

/// All weights stay where they fit into `budget` bytes. If not, the small ones do, which are many and cost most to
/// bring, and the largest are streamed. Code::out_of_device_memory says the least that would do.
Result<StreamPlan> plan_stream(const WeightUses&, std::uint64_t budget, std::uint64_t alignment = 256,
                               const StreamSlots& existing = {});

}  // namespace pumice
