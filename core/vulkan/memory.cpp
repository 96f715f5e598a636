#include "vulkan/memory.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "vulkan/memory_state.hpp"
#include "vulkan/vk_error.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t(64) << 20;
constexpr std::uint64_t kGranularity = 16;  // the widest word a shader reads

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

/// How well a memory type serves an intent; negative: not at all.
int score(const Capabilities& caps, const MemoryType& t, Intent intent) {
    std::uint64_t largest = 0;
    for (const MemoryHeap& heap : caps.heaps)
        if (heap.device_local) largest = std::max(largest, heap.size);
    const bool main_heap = t.device_local && caps.heaps[t.heap].size == largest;
    const bool host_writes = t.host_visible && t.host_coherent;
    if (t.special) return -1;
    switch (intent) {
        case Intent::device:
            // Directly writable memory on the main heap saves the staging copy; a small window on the device's memory
            // (256 MiB on many GPUs) is better left to Intent::shared.
            return (t.device_local ? 16 : 0) + (main_heap ? 8 : 0) + (main_heap && host_writes ? 4 : 0) +
                   (main_heap && t.host_cached ? 2 : 0);
        case Intent::shared:
            return host_writes ? 1 + (t.device_local ? 8 : 0) + (t.host_cached ? 2 : 0) : -1;
        case Intent::upload:
            return host_writes ? 1 + (t.device_local ? 0 : 8) : -1;
        case Intent::readback:
            return t.host_visible ? 1 + (t.host_cached ? 8 : 0) + (t.host_coherent ? 4 : 0) + (t.device_local ? 0 : 2)
                                  : -1;
    }
    return -1;
}

}  // namespace

std::vector<std::uint32_t> memory_types_for(const Capabilities& caps, Intent intent) {
    std::vector<std::uint32_t> types;
    for (std::uint32_t i = 0; i < caps.memory_types.size(); ++i)
        if (score(caps, caps.memory_types[i], intent) >= 0) types.push_back(i);
    std::stable_sort(types.begin(), types.end(), [&](std::uint32_t a, std::uint32_t b) {
        return score(caps, caps.memory_types[a], intent) > score(caps, caps.memory_types[b], intent);
    });
    return types;
}

// ---- Buffer ----

std::shared_ptr<Buffer> Buffer::placeholder() {
    return std::shared_ptr<Buffer>(new Buffer);
}

Buffer::~Buffer() {
    if (!allocator_) return;
    Allocator::State& state = *allocator_->state_;
    vkDestroyBuffer(state.device->device, buffer_, nullptr);
    if (allocation_) {
        const std::lock_guard lock(state.mutex);
        state.free(*allocation_);
    }
}

bool Buffer::host_cached() const {
    return allocator_->state_->caps.memory_types[allocation_->block->type].host_cached;
}

Result<VkMappedMemoryRange> Buffer::mapped_range(std::uint64_t offset, std::uint64_t size) const {
    if (!mapped_ || offset > size_ || size > size_ - offset)
        return Error{Code::internal, "flush or invalidate outside a mapped buffer"};
    const MemoryBlock& block = *allocation_->block;
    const std::uint64_t atom = allocator_->state_->caps.non_coherent_atom;
    VkMappedMemoryRange range{};
    range.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE;
    range.memory = block.memory;
    range.offset = (allocation_->offset + offset) / atom * atom;
    range.size = std::min(round_up(allocation_->offset + offset + size, atom), block.size) - range.offset;
    return range;
}

Status Buffer::flush(std::uint64_t offset, std::uint64_t size) {
    PUMICE_ASSIGN(const VkMappedMemoryRange range, mapped_range(offset, size));
    const Allocator::State& state = *allocator_->state_;
    if (size == 0 || state.caps.memory_types[allocation_->block->type].host_coherent) return {};
    const VkResult r = vkFlushMappedMemoryRanges(state.device->device, 1, &range);
    if (r != VK_SUCCESS) return vulkan_error(r, "flushing host writes");
    return {};
}

Status Buffer::invalidate(std::uint64_t offset, std::uint64_t size) {
    PUMICE_ASSIGN(const VkMappedMemoryRange range, mapped_range(offset, size));
    const Allocator::State& state = *allocator_->state_;
    if (size == 0 || state.caps.memory_types[allocation_->block->type].host_coherent) return {};
    const VkResult r = vkInvalidateMappedMemoryRanges(state.device->device, 1, &range);
    if (r != VK_SUCCESS) return vulkan_error(r, "reading device memory");
    return {};
}

// ---- Allocator::State ----

std::uint64_t Allocator::State::heap_budget_left(std::uint32_t heap) const {
    if (!caps.memory_budget) return std::numeric_limits<std::uint64_t>::max();
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
    vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
    const std::uint64_t used = budget.heapUsage[heap], all = budget.heapBudget[heap];
    return all > used ? all - used : 0;
}

Result<std::list<MemoryBlock>::iterator> Allocator::State::allocate(std::uint64_t bytes, std::uint32_t type,
                                                                    const Request& request, bool dedicated) {
    const MemoryType& t = caps.memory_types[type];
    const auto refusal_for = [](std::string why) { return Error{Code::out_of_device_memory, std::move(why)}; };
    if (bytes > caps.max_allocation_size)
        return refusal_for(fmt::format("one allocation may have {} at most", bytes_text(caps.max_allocation_size)));
    if (bytes > caps.heaps[t.heap].size)
        return refusal_for(fmt::format("memory heap {} has {}", t.heap, bytes_text(caps.heaps[t.heap].size)));
    if (request.for_device && limit && statistics.device_in_use + bytes > limit)
        return refusal_for(fmt::format("the memory limit is {}, of which {} are in use", bytes_text(limit),
                                  bytes_text(statistics.device_in_use)));
    if (const std::uint64_t left = heap_budget_left(t.heap); bytes > left)
        return refusal_for(fmt::format("memory heap {} of {} has {} left for this program", t.heap,
                                  bytes_text(caps.heaps[t.heap].size), bytes_text(left)));

    VkMemoryDedicatedAllocateInfo only{};
    only.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO;
    only.buffer = request.buffer;
    VkMemoryAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.pNext = dedicated && (request.wants_dedicated || request.requires_dedicated) ? &only : nullptr;
    info.allocationSize = bytes;
    info.memoryTypeIndex = type;
    MemoryBlock block;
    block.size = bytes;
    block.type = type;
    block.for_device = request.for_device;
    block.dedicated = dedicated;
    block.ranges = RangeAllocator(bytes);
    const bool refused = refuse && refuse(bytes);
    if (const VkResult r = refused ? VK_ERROR_OUT_OF_DEVICE_MEMORY
                                   : vkAllocateMemory(device->device, &info, nullptr, &block.memory);
        r != VK_SUCCESS) {
        Error error = vulkan_error(r, "vkAllocateMemory");
        error.message = fmt::format("{} from memory heap {} of {}, of which this program holds {}", to_string(r),
                                    t.heap, bytes_text(caps.heaps[t.heap].size), bytes_text(heap_in_use[t.heap]));
        return error;
    }
    if (t.host_visible) {
        void* address = nullptr;
        if (const VkResult r = vkMapMemory(device->device, block.memory, 0, VK_WHOLE_SIZE, 0, &address);
            r != VK_SUCCESS) {
            vkFreeMemory(device->device, block.memory, nullptr);
            return vulkan_error(r, "mapping device memory");
        }
        block.mapped = static_cast<std::byte*>(address);
    }
    heap_in_use[t.heap] += bytes;
    auto& in_use = request.for_device ? statistics.device_in_use : statistics.host_in_use;
    auto& peak = request.for_device ? statistics.device_peak : statistics.host_peak;
    in_use += bytes;
    peak = std::max(peak, in_use);
    return blocks.insert(blocks.end(), std::move(block));
}

void Allocator::State::release(std::list<MemoryBlock>::iterator block) {
    vkFreeMemory(device->device, block->memory, nullptr);  // unmaps
    heap_in_use[caps.memory_types[block->type].heap] -= block->size;
    (block->for_device ? statistics.device_in_use : statistics.host_in_use) -= block->size;
    blocks.erase(block);
}

/// Gives the empty blocks on the heap of `type` back to the driver; false when there were none.
bool Allocator::State::release_empty(std::uint32_t type) {
    const std::size_t before = blocks.size();
    for (auto it = blocks.begin(); it != blocks.end();) {
        const auto block = it++;
        if (block->ranges.empty() && caps.memory_types[block->type].heap == caps.memory_types[type].heap)
            release(block);
    }
    return blocks.size() < before;
}

void Allocator::State::free(const Buffer::Allocation& allocation) {
    const auto block = allocation.block;
    block->ranges.give_back(allocation.offset, allocation.size);
    if (!block->ranges.empty()) return;
    // One empty block a kind is kept, so that a picture after another does not allocate anew.
    const bool another = std::any_of(blocks.begin(), blocks.end(), [&](const MemoryBlock& b) {
        return &b != &*block && !b.dedicated && b.ranges.empty() && b.type == block->type &&
               b.for_device == block->for_device;
    });
    if (block->dedicated || another) release(block);
}

Result<Buffer::Allocation> Allocator::State::place(const Request& request, std::uint32_t type) {
    const std::uint64_t heap = caps.heaps[caps.memory_types[type].heap].size;
    // Under a limit, what is left of half-used blocks must not be a large part of it.
    const std::uint64_t whole = limit ? std::min(heap, limit) : heap;
    const std::uint64_t block_bytes = std::min(kBlockBytes, round_up(whole / (limit ? 64 : 16), 4096));
    // Both sides on whole atoms: flushing one buffer never touches another.
    const bool coherent = caps.memory_types[type].host_coherent || !caps.memory_types[type].host_visible;
    const std::uint64_t atom = coherent ? 1 : caps.non_coherent_atom;
    const std::uint64_t size = round_up(request.needs.size, atom);
    const std::uint64_t alignment = std::max(request.needs.alignment, atom);
    const bool dedicated = request.requires_dedicated || request.wants_dedicated || size >= block_bytes / 2;

    if (!dedicated) {
        for (auto it = blocks.begin(); it != blocks.end(); ++it) {
            if (it->dedicated || it->type != type || it->for_device != request.for_device) continue;
            if (const auto offset = it->ranges.take(size, alignment)) return Buffer::Allocation{it, *offset, size};
        }
        // A smaller block still helps where a whole one does not fit any more.
        for (std::uint64_t bytes = block_bytes; bytes >= size; bytes /= 2) {
            auto made = allocate(bytes, type, request, false);
            if (!made) continue;
            return Buffer::Allocation{*made, (*made)->ranges.take(size, alignment).value_or(0), size};
        }
    }
    const std::uint64_t exact = request.needs.size;  // what a dedicated allocation must have
    auto made = allocate(exact, type, request, true);
    if (!made && release_empty(type)) made = allocate(exact, type, request, true);
    if (!made) return std::move(made.error());
    return Buffer::Allocation{*made, (*made)->ranges.take(exact, 1).value_or(0), exact};
}

Error Allocator::State::refusal(const char* what, const Request& request, const Error& reason) const {
    const bool host = reason.code == Code::out_of_host_memory;
    return {reason.code,
            fmt::format("no {} memory for {} ({}): {}; {}", host ? "host" : "device", what,
                        bytes_text(request.needs.size), reason.message,
                        host ? "close other programs or ask for a smaller picture"
                             : "ask for a smaller picture or batch, close other programs that use the device, or "
                               "choose another one"),
            reason.vk_result};
}

// ---- Allocator ----

Allocator::Allocator(std::unique_ptr<State> state) : state_(std::move(state)) {}

Allocator::~Allocator() {
    while (!state_->blocks.empty()) state_->release(state_->blocks.begin());
}

Result<std::shared_ptr<Buffer>> Allocator::create(std::uint64_t bytes, Intent intent, const char* what) {
    if (bytes == 0) return Error{Code::invalid_argument, fmt::format("{}: a buffer of 0 bytes", what)};
    State& state = *state_;
    State::Request request;
    request.for_device = intent == Intent::device || intent == Intent::shared;
    request.needs.size = bytes;
    if (bytes > state.caps.max_buffer_size - kGranularity)
        return state.refusal(what, request,
                             {Code::out_of_device_memory, fmt::format("the device's buffers have {} at most",
                                                                      bytes_text(state.caps.max_buffer_size))});

    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = round_up(bytes, kGranularity);
    info.usage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    const std::shared_ptr<Buffer> buffer(new Buffer);
    buffer->allocator_ = self_.lock();
    buffer->size_ = info.size;
    if (const VkResult r = vkCreateBuffer(state.device->device, &info, nullptr, &buffer->buffer_); r != VK_SUCCESS)
        return vulkan_error(r, fmt::format("making a buffer of {} for {}", bytes_text(bytes), what));

    request.buffer = buffer->buffer_;
    VkMemoryDedicatedRequirements alone{VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS, nullptr, VK_FALSE, VK_FALSE};
    VkMemoryRequirements2 needs{VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, &alone, {}};
    const VkBufferMemoryRequirementsInfo2 of{VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2, nullptr,
                                             buffer->buffer_};
    vkGetBufferMemoryRequirements2(state.device->device, &of, &needs);
    request.needs = needs.memoryRequirements;
    request.wants_dedicated = alone.prefersDedicatedAllocation;
    request.requires_dedicated = alone.requiresDedicatedAllocation;

    const std::lock_guard lock(state.mutex);
    Error reason{Code::out_of_device_memory, "the device has no memory type for it"};
    bool first = true;
    for (const std::uint32_t type : memory_types_for(state.caps, intent)) {
        if (!(request.needs.memoryTypeBits >> type & 1)) continue;
        auto placed = state.place(request, type);
        if (!placed) {
            if (std::exchange(first, false)) reason = std::move(placed.error());  // the best type's is the telling one
            continue;
        }
        buffer->allocation_ = std::make_unique<Buffer::Allocation>(*placed);
        if (const MemoryBlock& block = *placed->block; block.mapped) buffer->mapped_ = block.mapped + placed->offset;
        if (!first)
            state.log.info("{}: {} went to memory type {}, because {}", what, bytes_text(bytes), type, reason.message);
        const VkResult r =
            vkBindBufferMemory(state.device->device, buffer->buffer_, placed->block->memory, placed->offset);
        if (r != VK_SUCCESS) return vulkan_error(r, fmt::format("binding memory for {}", what));
        return buffer;
    }
    return state.refusal(what, request, reason);
}

MemoryStatistics Allocator::statistics() const {
    const std::lock_guard lock(state_->mutex);
    return state_->statistics;
}

void Allocator::reset_peaks() {
    const std::lock_guard lock(state_->mutex);
    state_->statistics.device_peak = state_->statistics.device_in_use;
    state_->statistics.host_peak = state_->statistics.host_in_use;
}

std::uint64_t Allocator::device_bytes_free() const {
    const std::lock_guard lock(state_->mutex);
    const State& state = *state_;
    const auto types = memory_types_for(state.caps, Intent::device);
    if (types.empty()) return 0;
    const std::uint32_t heap = state.caps.memory_types[types.front()].heap;
    const auto left = [](std::uint64_t all, std::uint64_t used) { return all > used ? all - used : 0; };
    std::uint64_t bytes =
        std::min(left(state.caps.heaps[heap].size, state.heap_in_use[heap]), state.heap_budget_left(heap));
    std::uint64_t empty = 0;  // kept for the next picture, and given back when something else needs them
    for (const MemoryBlock& block : state.blocks)
        if (block.for_device && block.ranges.empty() && state.caps.memory_types[block.type].heap == heap)
            empty += block.size;
    bytes += empty;
    if (state.limit) bytes = std::min(bytes, left(state.limit + empty, state.statistics.device_in_use));
    return bytes;
}

void Allocator::set_fault(std::function<bool(std::uint64_t)> refuse) {
    const std::lock_guard lock(state_->mutex);
    state_->refuse = std::move(refuse);
}

void Allocator::set_limit(std::uint64_t bytes) {
    const std::lock_guard lock(state_->mutex);
    state_->limit = bytes;
}

}  // namespace pumice
