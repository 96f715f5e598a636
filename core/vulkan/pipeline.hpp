// Compute pipelines, made once a kernel and kept.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vulkan/device.hpp"

namespace pumice {

/// One layout for all kernels: set 0 holds `bindings` storage buffers 0…n-1; push constants of `push_bytes`.
struct Pipeline {
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
};

struct PipelineRequest {
    std::span<const std::uint32_t> spirv;
    std::span<const std::uint32_t> specialization;  ///< constant_id i takes element i
    std::uint32_t bindings = 0;
    std::uint32_t push_bytes = 0;
    std::uint32_t required_subgroup_size = 0;       ///< 0: whatever the driver takes
    std::string name;                               ///< for messages
};

/// Creates through the device's pipeline cache. The result is destroyed with destroy_pipeline.
Result<Pipeline> create_pipeline(Device&, const PipelineRequest&);
void destroy_pipeline(Device&, Pipeline&);

}  // namespace pumice
