// Memory planning: lifetimes in execution order, greedy reuse. Pure functions, tested without a device.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.hpp"

namespace pumice {

/// The dispatch numbers (counted over all nodes) of the first and last use of a tensor; first > last: unused.
struct Lifetime {
    std::uint32_t first = UINT32_MAX, last = 0;
};

struct Placement {
    std::uint32_t page = UINT32_MAX;  ///< UINT32_MAX: not in the arena (external or unused)
    std::uint64_t offset = 0;
};

struct Plan {
    std::vector<Placement> placements;      ///< one a tensor
    std::vector<std::uint64_t> page_sizes;  ///< bytes
    std::uint64_t peak = 0;                 ///< the largest sum of live tensors: no plan can need less
    std::uint64_t total() const;
};

std::vector<Lifetime> lifetimes(const Graph&);

/// Pages are at most page_limit bytes, unless one tensor alone is larger. Offsets are multiples of `alignment`.
Plan plan(const Graph&, std::uint64_t page_limit, std::uint64_t alignment = 256);

}  // namespace pumice
