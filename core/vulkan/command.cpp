#include "vulkan/command.hpp"

#include <algorithm>
#include <cstring>

namespace pumice {
namespace {

constexpr std::uint64_t kStagingBytes = std::uint64_t(16) << 20;

/// Closes every command buffer, so that mapped memory can be read once the work has ended.
void make_visible_to_host(VkCommandBuffer commands) {
    const VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr,
                                  VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

Status check_range(const BufferRange& range, std::size_t bytes, const char* what) {
    if (!range.buffer || range.offset > range.buffer->size() || range.size > range.buffer->size() - range.offset ||
        bytes > range.size)
        return Error{Code::internal, std::string(what) + " outside a buffer's range"};
    return {};
}

Status copy(const std::shared_ptr<Device>& device, const Buffer& from, std::uint64_t from_offset, const Buffer& to,
            std::uint64_t to_offset, std::uint64_t bytes) {
    return run_commands(device, [&](VkCommandBuffer commands) {
        const VkBufferCopy region{from_offset, to_offset, bytes};
        vkCmdCopyBuffer(commands, from.handle(), to.handle(), 1, &region);
    });
}

}  // namespace

Result<std::unique_ptr<CommandPool>> CommandPool::create(std::shared_ptr<Device> device) {
    std::unique_ptr<CommandPool> made(new CommandPool);
    made->device_ = std::move(device);
    VkCommandPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    info.queueFamilyIndex = made->device_->queue_family();
    if (const VkResult r = vkCreateCommandPool(made->device_->handle(), &info, nullptr, &made->pool_); r != VK_SUCCESS)
        return made->device_->error(r, "making a command pool");
    return made;
}

CommandPool::~CommandPool() {
    if (pool_) vkDestroyCommandPool(device_->handle(), pool_, nullptr);
}

Result<VkCommandBuffer> CommandPool::begin() {
    VkCommandBufferAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocate.commandPool = pool_;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    if (const VkResult r = vkAllocateCommandBuffers(device_->handle(), &allocate, &commands); r != VK_SUCCESS)
        return device_->error(r, "allocating a command buffer");
    // Simultaneous use: a program may be submitted again while its last run is still pending.
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
    if (const VkResult r = vkBeginCommandBuffer(commands, &begin); r != VK_SUCCESS)
        return device_->error(r, "recording commands");
    return commands;
}

Status CommandPool::end(VkCommandBuffer commands) {
    make_visible_to_host(commands);
    if (const VkResult r = vkEndCommandBuffer(commands); r != VK_SUCCESS)
        return device_->error(r, "recording commands");
    return {};
}

Status CommandPool::reset() {
    vkDestroyCommandPool(device_->handle(), pool_, nullptr);
    pool_ = VK_NULL_HANDLE;
    PUMICE_ASSIGN(const auto fresh, create(device_));
    std::swap(pool_, fresh->pool_);
    return {};
}

Status run_commands(const std::shared_ptr<Device>& device, const std::function<void(VkCommandBuffer)>& record) {
    PUMICE_ASSIGN(const auto pool, CommandPool::create(device));
    PUMICE_ASSIGN(const VkCommandBuffer commands, pool->begin());
    record(commands);
    PUMICE_TRY(pool->end(commands));
    PUMICE_ASSIGN(const std::uint64_t value, device->submit({&commands, 1}));
    return device->wait(value);
}

Status write_range(const std::shared_ptr<Device>& device, const BufferRange& range, std::span<const std::byte> bytes) {
    PUMICE_TRY(check_range(range, bytes.size(), "writing"));
    std::byte* const to = range.buffer->mapped();
    if (!to) return write_staged(device, range, bytes);
    if (bytes.empty()) return {};
    PUMICE_TRY(device->wait(device->last_submitted()));  // earlier work may still read what is overwritten
    std::memcpy(to + range.offset, bytes.data(), bytes.size());
    return range.buffer->flush(range.offset, bytes.size());
}

Status write_staged(const std::shared_ptr<Device>& device, const BufferRange& range, std::span<const std::byte> bytes) {
    PUMICE_TRY(check_range(range, bytes.size(), "writing"));
    if (bytes.empty()) return {};
    PUMICE_ASSIGN(const auto staging, device->allocator().create(std::min<std::uint64_t>(bytes.size(), kStagingBytes),
                                                                 Intent::upload, "staging"));
    for (std::uint64_t done = 0; done < bytes.size();) {
        const std::uint64_t part = std::min<std::uint64_t>(bytes.size() - done, kStagingBytes);
        std::memcpy(staging->mapped(), bytes.data() + done, part);
        PUMICE_TRY(staging->flush(0, part));
        PUMICE_TRY(copy(device, *staging, 0, *range.buffer, range.offset + done, part));
        done += part;
    }
    return {};
}

Status read_range(const std::shared_ptr<Device>& device, const BufferRange& range, std::span<std::byte> bytes) {
    PUMICE_TRY(check_range(range, bytes.size(), "reading"));
    const std::byte* const from = range.buffer->mapped();
    // Uncached memory is read faster through a copy into cached memory.
    if (!from || !range.buffer->host_cached()) return read_staged(device, range, bytes);
    if (bytes.empty()) return {};
    PUMICE_TRY(device->wait(device->last_submitted()));
    PUMICE_TRY(range.buffer->invalidate(range.offset, bytes.size()));
    std::memcpy(bytes.data(), from + range.offset, bytes.size());
    return {};
}

Status read_staged(const std::shared_ptr<Device>& device, const BufferRange& range, std::span<std::byte> bytes) {
    PUMICE_TRY(check_range(range, bytes.size(), "reading"));
    if (bytes.empty()) return {};
    PUMICE_ASSIGN(const auto staging, device->allocator().create(std::min<std::uint64_t>(bytes.size(), kStagingBytes),
                                                                 Intent::readback, "staging"));
    for (std::uint64_t done = 0; done < bytes.size();) {
        const std::uint64_t part = std::min<std::uint64_t>(bytes.size() - done, kStagingBytes);
        PUMICE_TRY(copy(device, *range.buffer, range.offset + done, *staging, 0, part));
        PUMICE_TRY(staging->invalidate(0, part));
        std::memcpy(bytes.data() + done, staging->mapped(), part);
        done += part;
    }
    return {};
}

Status copy_range(const std::shared_ptr<Device>& device, const BufferRange& from, const BufferRange& to) {
    PUMICE_TRY(check_range(from, from.size, "copying"));
    PUMICE_TRY(check_range(to, from.size, "copying"));
    return copy(device, *from.buffer, from.offset, *to.buffer, to.offset, from.size);
}

}  // namespace pumice
