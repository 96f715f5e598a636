// GPU timestamps.
#pragma once

#include <memory>
#include <vector>

#include "vulkan/device.hpp"

namespace pumice {

/// A query pool of timestamps. Where the queue has none, every duration is 0.
class Timestamps {
public:
    static Result<std::unique_ptr<Timestamps>> create(std::shared_ptr<Device>, std::uint32_t count);
    ~Timestamps();
    Timestamps(const Timestamps&) = delete;
    Timestamps& operator=(const Timestamps&) = delete;

    void reset(VkCommandBuffer, std::uint32_t first, std::uint32_t count);
    void write(VkCommandBuffer, std::uint32_t index);  ///< after all earlier work of the command buffer
    /// Nanoseconds between two written timestamps; the work has ended.
    Result<double> nanoseconds(std::uint32_t begin, std::uint32_t end);
    /// All written timestamps from the first on, as the device counts; the work has ended. Zeros where there are none.
    Result<std::vector<std::uint64_t>> ticks(std::uint32_t count);
    /// Nanoseconds from one count to a later one.
    double between(std::uint64_t from, std::uint64_t to) const;

private:
    Timestamps() = default;
    std::shared_ptr<Device> device_;
    VkQueryPool pool_ = VK_NULL_HANDLE;
};

}  // namespace pumice
