// A pool with its command buffers, and one-off transfers.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "vulkan/device.hpp"

namespace pumice {

/// Command buffers that live together. Not thread-safe.
class CommandPool {
public:
    static Result<std::unique_ptr<CommandPool>> create(std::shared_ptr<Device>);
    ~CommandPool();  ///< the caller has waited for the work
    CommandPool(const CommandPool&) = delete;
    CommandPool& operator=(const CommandPool&) = delete;

    Result<VkCommandBuffer> begin();  ///< allocates and begins
    /// Ends it with a barrier that makes its writes visible to the host: mapped memory can be read once it has run.
    Status end(VkCommandBuffer);
    Status reset();                   ///< frees all command buffers

private:
    CommandPool() = default;
    std::shared_ptr<Device> device_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
};

/// Records with `record`, submits and waits.
Status run_commands(const std::shared_ptr<Device>&, const std::function<void(VkCommandBuffer)>& record);

/// Copies host bytes to the start of a device range (straight in where it is host-visible, else through a staging
/// buffer of 16 MiB at most) after all work submitted before, and waits.
Status write_range(const std::shared_ptr<Device>&, const BufferRange&, std::span<const std::byte>);
/// The same, always through a staging buffer.
Status write_staged(const std::shared_ptr<Device>&, const BufferRange&, std::span<const std::byte>);
/// Copies the start of a device range to the host after all work submitted before.
Status read_range(const std::shared_ptr<Device>&, const BufferRange&, std::span<std::byte>);
/// The same, always through a staging buffer.
Status read_staged(const std::shared_ptr<Device>&, const BufferRange&, std::span<std::byte>);

/// Copies from.size bytes between device ranges and waits.
Status copy_range(const std::shared_ptr<Device>&, const BufferRange& from, const BufferRange& to);

}  // namespace pumice
