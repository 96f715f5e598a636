// The shader of affine.comp as a pipeline that tests can run.
#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "kernels/shader_compiler.hpp"
#include "vulkan/command.hpp"
#include "vulkan/pipeline.hpp"

namespace pumice::test {

struct AffinePush {
    std::uint32_t count = 0, shift = 0;
};

inline const std::vector<std::uint32_t>& affine_spirv() {
    static const std::vector<std::uint32_t> words = [] {
        const std::filesystem::path folder = std::filesystem::path(PUMICE_TEST_DATA) / "vulkan";
        auto compiled = compile_shader(folder / "affine.comp", {"affine", {}}, folder);
        if (!compiled) throw std::runtime_error(compiled.error().message);
        return *std::move(compiled);
    }();
    return words;
}

constexpr std::uint32_t kAffineWorkgroup = 64;

/// y = x * scale + shift on the device, with any other wishes of `request`.
class Affine {
public:
    static Result<std::unique_ptr<Affine>> create(std::shared_ptr<Device> device, std::uint32_t scale,
                                                  std::uint32_t required_subgroup_size = 0) {
        const std::uint32_t specialization[]{kAffineWorkgroup, scale};
        PUMICE_ASSIGN(const Pipeline pipeline,
                      create_pipeline(*device, {affine_spirv(), specialization, 2, sizeof(AffinePush),
                                                required_subgroup_size, "affine"}));
        std::unique_ptr<Affine> made(new Affine);
        made->device_ = std::move(device);
        made->pipeline_ = pipeline;
        const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2};
        const VkDescriptorPoolCreateInfo pool{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, nullptr, 0, 1, 1, &size};
        if (const VkResult r = vkCreateDescriptorPool(made->device_->handle(), &pool, nullptr, &made->pool_);
            r != VK_SUCCESS)
            return made->device_->error(r, "descriptor pool");
        const VkDescriptorSetAllocateInfo allocate{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, nullptr, made->pool_,
                                                   1, &made->pipeline_.set_layout};
        if (const VkResult r = vkAllocateDescriptorSets(made->device_->handle(), &allocate, &made->set_);
            r != VK_SUCCESS)
            return made->device_->error(r, "descriptor set");
        return made;
    }
    ~Affine() {
        vkDestroyDescriptorPool(device_->handle(), pool_, nullptr);
        destroy_pipeline(*device_, pipeline_);
    }
    Affine(const Affine&) = delete;
    Affine& operator=(const Affine&) = delete;

    void bind(const Buffer& x, const Buffer& y) {
        const VkDescriptorBufferInfo buffers[]{{x.handle(), 0, VK_WHOLE_SIZE}, {y.handle(), 0, VK_WHOLE_SIZE}};
        VkWriteDescriptorSet write{};
        write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        write.dstSet = set_;
        write.descriptorCount = 2;  // runs on into binding 1
        write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        write.pBufferInfo = buffers;
        vkUpdateDescriptorSets(device_->handle(), 1, &write, 0, nullptr);
    }
    void record(VkCommandBuffer commands, const AffinePush& push) const {
        vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.pipeline);
        vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.layout, 0, 1, &set_, 0, nullptr);
        vkCmdPushConstants(commands, pipeline_.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
        vkCmdDispatch(commands, (push.count + kAffineWorkgroup - 1) / kAffineWorkgroup, 1, 1);
    }

private:
    Affine() = default;
    std::shared_ptr<Device> device_;
    Pipeline pipeline_;
    VkDescriptorPool pool_ = VK_NULL_HANDLE;
    VkDescriptorSet set_ = VK_NULL_HANDLE;
};

}  // namespace pumice::test
