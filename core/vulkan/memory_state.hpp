// What the allocator holds; shared by memory.cpp and device.cpp only.
#pragma once

#include <array>
#include <list>
#include <mutex>

#include "base/log.hpp"
#include "vulkan/device.hpp"
#include "vulkan/memory.hpp"
#include "vulkan/range_allocator.hpp"

namespace pumice {

/// One vkAllocateMemory, mapped where host-visible. A dedicated one holds a single buffer.
struct MemoryBlock {
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::uint64_t size = 0;
    std::uint32_t type = 0;
    bool for_device = false;  ///< Intent::device or shared; statistics and the limit count these apart
    bool dedicated = false;
    std::byte* mapped = nullptr;
    RangeAllocator ranges{0};
};

struct Buffer::Allocation {
    std::list<MemoryBlock>::iterator block;
    std::uint64_t offset = 0, size = 0;
};

struct Allocator::State {
    std::shared_ptr<DeviceHandle> device;
    Capabilities caps;
    Log log;
    mutable std::mutex mutex;
    std::list<MemoryBlock> blocks;
    std::array<std::uint64_t, VK_MAX_MEMORY_HEAPS> heap_in_use{};
    MemoryStatistics statistics;
    std::uint64_t limit = 0;
    std::function<bool(std::uint64_t)> refuse;

    struct Request {
        VkBuffer buffer = VK_NULL_HANDLE;
        VkMemoryRequirements needs{};
        bool wants_dedicated = false, requires_dedicated = false;
        bool for_device = false;
    };
    /// Finds or makes room for a buffer in one memory type. The caller holds the mutex.
    Result<Buffer::Allocation> place(const Request&, std::uint32_t type);
    Result<std::list<MemoryBlock>::iterator> allocate(std::uint64_t bytes, std::uint32_t type, const Request&,
                                                      bool dedicated);
    void release(std::list<MemoryBlock>::iterator);
    bool release_empty(std::uint32_t type);
    void free(const Buffer::Allocation&);
    /// What the driver says the process may still take from a heap; without VK_EXT_memory_budget, all of it.
    std::uint64_t heap_budget_left(std::uint32_t heap) const;
    Error refusal(const char* what, const Request&, const Error& reason) const;
};

}  // namespace pumice
