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
    Status end(VkCommandBuffer);
    Status reset();                   ///< frees all command buffers

private:
    CommandPool() = default;
    std::shared_ptr<Device> device_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
};

/// Records with `record`, submits and waits.
Status run_commands(const std::shared_ptr<Device>&, const std::function<void(VkCommandBuffer)>& record);

/// Copies host bytes into a device range (straight in where it is host-visible, else through a staging buffer).
Status write_range(const std::shared_ptr<Device>&, const BufferRange&, std::span<const std::byte>);
/// Copies a device range to the host.
Status read_range(const std::shared_ptr<Device>&, const BufferRange&, std::span<std::byte>);

/// Copies from.size bytes between device ranges and waits.
Status copy_range(const std::shared_ptr<Device>&, const BufferRange& from, const BufferRange& to);

}  // namespace pumice
