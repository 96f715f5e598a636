// Bookkeeping of one memory block: which byte ranges are free. Knows nothing of Vulkan.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace pumice {

/// Best fit over a sorted free list; neighbouring free ranges are joined. Not thread-safe.
class RangeAllocator {
public:
    explicit RangeAllocator(std::uint64_t size) : size_(size) { free_.emplace(0, size); }

    /// Offset of a free range of `size` bytes at a multiple of `alignment` (both above 0), now taken.
    std::optional<std::uint64_t> take(std::uint64_t size, std::uint64_t alignment);
    /// Gives back a range that take() returned, with its size.
    void give_back(std::uint64_t offset, std::uint64_t size);

    bool empty() const { return free_.size() == 1 && free_.begin()->second == size_; }  ///< nothing is taken
    std::uint64_t free_bytes() const;

private:
    std::uint64_t size_;
    std::map<std::uint64_t, std::uint64_t> free_;  // offset → size
};

}  // namespace pumice
