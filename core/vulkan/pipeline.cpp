#include "vulkan/pipeline.hpp"

#include <fmt/format.h>

namespace pumice {
namespace {

Status check_limits(const Capabilities& caps, const PipelineRequest& request) {
    const auto refuse = [&](std::string what) {
        return Error{Code::missing_feature, fmt::format("kernel {} needs {}", request.name, what)};
    };
    if (request.bindings > caps.max_storage_buffers)
        return refuse(
            fmt::format("{} storage buffers; {} has {}", request.bindings, caps.name, caps.max_storage_buffers));
    if (request.push_bytes > caps.max_push_constants)
        return refuse(fmt::format("{} bytes of push constants; {} has {}", request.push_bytes, caps.name,
                                  caps.max_push_constants));
    if (request.push_bytes % 4 != 0)
        return Error{Code::internal, fmt::format("kernel {}: push constants are whole words", request.name)};
    const std::uint32_t subgroup = request.required_subgroup_size;
    if (subgroup &&
        (!caps.subgroup_size_control || subgroup < caps.min_subgroup_size || subgroup > caps.max_subgroup_size))
        return refuse(fmt::format("subgroups of {}", subgroup));
    return {};
}

Status create_layouts(Device& device, const PipelineRequest& request, Pipeline& made) {
    std::vector<VkDescriptorSetLayoutBinding> bindings(request.bindings);
    for (std::uint32_t i = 0; i < request.bindings; ++i)
        bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = request.bindings;
    set.pBindings = bindings.data();
    if (const VkResult r = vkCreateDescriptorSetLayout(device.handle(), &set, nullptr, &made.set_layout);
        r != VK_SUCCESS)
        return device.error(r, fmt::format("kernel {}: descriptor set layout", request.name));

    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, request.push_bytes};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &made.set_layout;
    layout.pushConstantRangeCount = request.push_bytes ? 1 : 0;
    layout.pPushConstantRanges = &push;
    if (const VkResult r = vkCreatePipelineLayout(device.handle(), &layout, nullptr, &made.layout); r != VK_SUCCESS)
        return device.error(r, fmt::format("kernel {}: pipeline layout", request.name));
    return {};
}

Status compile(Device& device, const PipelineRequest& request, VkShaderModule module, Pipeline& made) {
    const auto& constants = request.specialization;
    std::vector<VkSpecializationMapEntry> entries(constants.size());
    for (std::uint32_t i = 0; i < entries.size(); ++i) entries[i] = {i, i * 4, 4};
    const VkSpecializationInfo specialization{static_cast<std::uint32_t>(entries.size()), entries.data(),
                                              constants.size_bytes(), constants.data()};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT;
    subgroup.requiredSubgroupSize = request.required_subgroup_size;
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.pNext = request.required_subgroup_size ? &subgroup : nullptr;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = entries.empty() ? nullptr : &specialization;
    info.layout = made.layout;
    if (const VkResult r =
            vkCreateComputePipelines(device.handle(), device.pipeline_cache(), 1, &info, nullptr, &made.pipeline);
        r != VK_SUCCESS)
        return device.error(r, fmt::format("kernel {}: compiling", request.name));
    return {};
}

}  // namespace

Result<Pipeline> create_pipeline(Device& device, const PipelineRequest& request) {
    if (device.lost()) return device.error(VK_ERROR_DEVICE_LOST, fmt::format("kernel {}: compiling", request.name));
    PUMICE_TRY(check_limits(device.caps(), request));
    VkShaderModuleCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    info.codeSize = request.spirv.size_bytes();
    info.pCode = request.spirv.data();
    VkShaderModule module = VK_NULL_HANDLE;
    if (const VkResult r = vkCreateShaderModule(device.handle(), &info, nullptr, &module); r != VK_SUCCESS)
        return device.error(r, fmt::format("kernel {}: shader module", request.name));

    Pipeline made;
    Status status = create_layouts(device, request, made);
    if (status) status = compile(device, request, module, made);
    vkDestroyShaderModule(device.handle(), module, nullptr);
    if (status) return made;
    destroy_pipeline(device, made);
    return std::move(status.error());
}

void destroy_pipeline(Device& device, Pipeline& pipeline) {
    vkDestroyPipeline(device.handle(), pipeline.pipeline, nullptr);
    vkDestroyPipelineLayout(device.handle(), pipeline.layout, nullptr);
    vkDestroyDescriptorSetLayout(device.handle(), pipeline.set_layout, nullptr);
    pipeline = {};
}

}  // namespace pumice
