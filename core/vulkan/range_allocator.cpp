#include "vulkan/range_allocator.hpp"

#include <iterator>

namespace pumice {

std::optional<std::uint64_t> RangeAllocator::take(std::uint64_t size, std::uint64_t alignment) {
    const auto aligned = [&](std::uint64_t offset) { return (offset + alignment - 1) / alignment * alignment; };
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
        const std::uint64_t lost = aligned(it->first) - it->first;
        if (it->second < lost || it->second - lost < size) continue;
        if (best == free_.end() || it->second < best->second) best = it;
    }
    if (best == free_.end()) return std::nullopt;
    const std::uint64_t begin = best->first, end = best->first + best->second, offset = aligned(begin);
    free_.erase(best);
    if (offset > begin) free_.emplace(begin, offset - begin);
    if (offset + size < end) free_.emplace(offset + size, end - offset - size);
    return offset;
}

void RangeAllocator::give_back(std::uint64_t offset, std::uint64_t size) {
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && next->first == offset + size) {
        size += next->second;
        next = free_.erase(next);
    }
    if (next != free_.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == offset) {
            before->second += size;
            return;
        }
    }
    free_.emplace(offset, size);
}

std::uint64_t RangeAllocator::free_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [offset, size] : free_) sum += size;
    return sum;
}

}  // namespace pumice
