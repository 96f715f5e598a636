// Device memory: blocks, sub-allocations and buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <vulkan/vulkan.h>

#include "base/result.hpp"
#include "vulkan/capabilities.hpp"

namespace pumice {

class Device;

/// What a buffer is for; the allocator picks the memory type.
enum class Intent : std::uint8_t {
    device,    ///< weights, activations: device-local
    upload,    ///< written by the host once, read by the device: host-visible, coherent
    readback,  ///< written by the device, read by the host: host-visible, cached where possible
    shared,    ///< small and changed each step: device-local and host-visible where possible
};

/// A buffer with its memory; freed with the object. Usage: storage, transfer source and destination.
class Buffer {
public:
    struct Allocation;  ///< its place in a block; the allocator's business
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    /// Stands in a graph for memory that is not there yet (Graph::place): no handle, and no memory.
    static std::shared_ptr<Buffer> placeholder();
    VkBuffer handle() const { return buffer_; }
    /// Bytes; the request rounded up to a multiple of 16, because shaders read words of up to 16 bytes.
    std::uint64_t size() const { return size_; }
    /// Host address, or null when the memory is not host-visible (only Intent::device may be null; on unified
    /// memory it is not, and writes go straight in).
    std::byte* mapped() const { return mapped_; }
    /// False where reading through mapped() bypasses the CPU's cache (slow: tens of MB/s).
    bool host_cached() const;
    /// Makes host writes to [offset, offset+size) visible to the device where memory is not coherent.
    Status flush(std::uint64_t offset, std::uint64_t size);
    /// Makes device writes visible to the host where memory is not coherent.
    Status invalidate(std::uint64_t offset, std::uint64_t size);

private:
    friend class Allocator;
    Buffer() = default;
    Result<VkMappedMemoryRange> mapped_range(std::uint64_t offset, std::uint64_t size) const;
    std::shared_ptr<class Allocator> allocator_;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    std::uint64_t size_ = 0;
    std::byte* mapped_ = nullptr;
    std::unique_ptr<Allocation> allocation_;
};

/// A byte range of a buffer, kept alive by whoever holds it.
struct BufferRange {
    std::shared_ptr<Buffer> buffer;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

struct MemoryStatistics {
    std::uint64_t device_in_use = 0, device_peak = 0;  ///< bytes of vkAllocateMemory with Intent::device or shared
    std::uint64_t host_in_use = 0, host_peak = 0;      ///< bytes with Intent::upload or readback
};

/// Memory types that serve an intent, the best first: pure, from the record alone.
std::vector<std::uint32_t> memory_types_for(const Capabilities&, Intent);

/// Sub-allocates from blocks of 64 MiB a memory type; a request of half a block or more, or one the driver wants
/// so, gets a dedicated allocation. Thread-safe.
class Allocator {
public:
    /// Code::out_of_device_memory or out_of_host_memory with sizes, heap and what to do; falls back to another
    /// memory type of the same intent before it fails. Respects the budget where the driver reports one. `what` stands
    /// in the message ("activations").
    Result<std::shared_ptr<Buffer>> create(std::uint64_t bytes, Intent intent, const char* what);
    MemoryStatistics statistics() const;
    void reset_peaks();
    /// Bytes still free for Intent::device: budget (or heap size) minus usage; blocks that hold nothing count as free.
    std::uint64_t device_bytes_free() const;
    /// Refuses allocations that would take Intent::device and shared together above this; 0: no limit.
    void set_limit(std::uint64_t bytes);
    /// For tests: asked before each vkAllocateMemory with its bytes; where it says true, the driver is not asked and
    /// VK_ERROR_OUT_OF_DEVICE_MEMORY is its answer.
    void set_fault(std::function<bool(std::uint64_t bytes)> refuse);

    ~Allocator();
    Allocator(const Allocator&) = delete;
    Allocator& operator=(const Allocator&) = delete;

private:
    friend class Device;
    friend class Buffer;
    struct State;
    explicit Allocator(std::unique_ptr<State>);
    std::unique_ptr<State> state_;
    std::weak_ptr<Allocator> self_;
};

}  // namespace pumice
