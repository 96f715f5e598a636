// A logical device with one compute queue and one timeline semaphore.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/log.hpp"
#include "base/result.hpp"
#include "vulkan/capabilities.hpp"
#include "vulkan/instance.hpp"
#include "vulkan/memory.hpp"
#include "vulkan/profile.hpp"

namespace pumice {

struct DeviceOptions {
    std::string wanted;                    ///< see Instance::choose
    std::filesystem::path cache_folder;    ///< pipeline cache; empty: none is kept
    Log log;                               ///< told about a damaged or unwritable pipeline cache and about fallbacks
};

/// The VkDevice, destroyed with its last user: buffers may outlive the Device object.
struct DeviceHandle {
    std::shared_ptr<Instance> instance;
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    VkDevice device = VK_NULL_HANDLE;
    ~DeviceHandle();
};

class Device {
public:
    /// Code::missing_feature names the feature and what to do (Vulkan 1.2 with timeline semaphores is the floor).
    static Result<std::shared_ptr<Device>> create(std::shared_ptr<Instance>, const DeviceOptions&);
    ~Device();  ///< waits for the queue, saves the pipeline cache
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    VkDevice handle() const { return handle_->device; }
    const Capabilities& caps() const { return caps_; }
    Allocator& allocator() { return *allocator_; }
    VkPipelineCache pipeline_cache() const { return pipeline_cache_; }
    std::uint32_t queue_family() const { return caps_.compute_queue_family; }

    /// Submits and returns the timeline value that the work signals when it ends. Submissions run in order; each
    /// waits for the one before it on the device (full memory dependency). Thread-safe. Fails at once when lost.
    Result<std::uint64_t> submit(std::span<const VkCommandBuffer> commands);
    /// Waits on the host until the timeline reaches `value`.
    Status wait(std::uint64_t value);
    /// The timeline value the device has reached.
    Result<std::uint64_t> completed();
    std::uint64_t last_submitted() const { return submitted_.load(); }

    const Log& log() const { return log_; }

    /// Turns a VkResult into an Error with a sentence on what to do; VK_ERROR_DEVICE_LOST latches lost().
    Error error(VkResult result, const std::string& what);
    bool lost() const { return lost_.load(); }

    /// Writes the pipeline cache to its file now (atomically), if pipelines were added since it was read. Also done by
    /// the destructor, where a failure is a line in the log.
    Status save_pipeline_cache();

    /// Speed the planner assumes when it cuts work into dispatches and submissions; starts from the device type,
    /// updated from measured timestamps.
    double assumed_gflops() const { return assumed_gflops_.load(); }
    void observe_gflops(double measured);

    /// Where programs that are compiled from now on tell of their runs; null (as it begins): nowhere, and nothing is
    /// measured for it.
    void set_profile(std::shared_ptr<Profile> profile) { profile_ = std::move(profile); }
    const std::shared_ptr<Profile>& profile() const { return profile_; }

    /// For tests: asked before each submission; where it says true, VK_ERROR_DEVICE_LOST is the driver's answer.
    void set_fault(std::function<bool()> lose);

private:
    Device() = default;
    Status open_pipeline_cache(const std::filesystem::path& folder);
    std::shared_ptr<DeviceHandle> handle_;
    Log log_;
    VkQueue queue_ = VK_NULL_HANDLE;
    VkSemaphore timeline_ = VK_NULL_HANDLE;
    VkPipelineCache pipeline_cache_ = VK_NULL_HANDLE;
    std::filesystem::path cache_file_;
    std::uint64_t cache_hash_ = 0;  ///< of the data last read from or written to the file
    Capabilities caps_;
    std::shared_ptr<Allocator> allocator_;
    std::mutex queue_mutex_;
    std::function<bool()> lose_;  ///< under queue_mutex_
    std::atomic<std::uint64_t> submitted_{0};
    std::atomic<bool> lost_{false};
    std::atomic<double> assumed_gflops_{0};
    std::shared_ptr<Profile> profile_;
};

}  // namespace pumice
