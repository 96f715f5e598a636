#include "vulkan/features.hpp"

#include <algorithm>

namespace pumice {
namespace {

// Enabled where present. VK_KHR_portability_subset must be enabled by whoever uses a device that has it (MoltenVK).
constexpr const char* kWanted[] = {
    "VK_KHR_portability_subset",
    VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
    VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
    VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
    VK_KHR_MAINTENANCE_4_EXTENSION_NAME,
#ifdef VK_KHR_cooperative_matrix
    VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME,
#endif
#ifdef VK_NV_cooperative_matrix2
    VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME,
#endif
};

}  // namespace

DeviceExtensions::DeviceExtensions(VkPhysicalDevice device) {
    std::uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> properties(count);
    if (vkEnumerateDeviceExtensionProperties(device, nullptr, &count, properties.data()) != VK_SUCCESS) return;
    for (std::uint32_t i = 0; i < count; ++i) names_.emplace_back(properties[i].extensionName);
}

bool DeviceExtensions::has(const char* name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
}

std::vector<const char*> DeviceExtensions::wanted() const {
    std::vector<const char*> found;
    for (const char* name : kWanted)
        if (has(name)) found.push_back(name);
    return found;
}

FeatureChain::FeatureChain(std::uint32_t api_version, const DeviceExtensions& extensions) {
    void** next = &core.pNext;
    core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    const auto link = [&](auto& features, VkStructureType type) {
        features.sType = type;
        *next = &features;
        next = &features.pNext;
    };
    if (api_version >= VK_API_VERSION_1_2) {
        link(v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
        link(v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    }
    if (extensions.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        link(subgroup_size, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT);
    if (extensions.has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
        link(integer_dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR);
    if (extensions.has(VK_KHR_MAINTENANCE_4_EXTENSION_NAME))
        link(maintenance4, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES_KHR);
#ifdef VK_KHR_cooperative_matrix
    if (extensions.has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        link(cooperative_matrix, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
#endif
#ifdef VK_NV_cooperative_matrix2
    if (extensions.has(VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME))
        link(cooperative_matrix2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV);
#endif
}

void FeatureChain::enable_from(const FeatureChain& supported) {
    core.features.shaderInt16 = supported.core.features.shaderInt16;
    core.features.shaderInt64 = supported.core.features.shaderInt64;
    v11.storageBuffer16BitAccess = supported.v11.storageBuffer16BitAccess;
    v11.uniformAndStorageBuffer16BitAccess = supported.v11.uniformAndStorageBuffer16BitAccess;
    v12.storageBuffer8BitAccess = supported.v12.storageBuffer8BitAccess;
    v12.uniformAndStorageBuffer8BitAccess = supported.v12.uniformAndStorageBuffer8BitAccess;
    v12.shaderFloat16 = supported.v12.shaderFloat16;
    v12.shaderInt8 = supported.v12.shaderInt8;
    v12.scalarBlockLayout = supported.v12.scalarBlockLayout;
    v12.shaderSubgroupExtendedTypes = supported.v12.shaderSubgroupExtendedTypes;
    v12.subgroupBroadcastDynamicId = supported.v12.subgroupBroadcastDynamicId;
    v12.timelineSemaphore = supported.v12.timelineSemaphore;
    v12.vulkanMemoryModel = supported.v12.vulkanMemoryModel;
    v12.vulkanMemoryModelDeviceScope = supported.v12.vulkanMemoryModelDeviceScope;
    subgroup_size.subgroupSizeControl = supported.subgroup_size.subgroupSizeControl;
    subgroup_size.computeFullSubgroups = supported.subgroup_size.computeFullSubgroups;
    integer_dot.shaderIntegerDotProduct = supported.integer_dot.shaderIntegerDotProduct;
    maintenance4.maintenance4 = supported.maintenance4.maintenance4;
#ifdef VK_KHR_cooperative_matrix
    cooperative_matrix.cooperativeMatrix = supported.cooperative_matrix.cooperativeMatrix;
#endif
#ifdef VK_NV_cooperative_matrix2
    void* const link = cooperative_matrix2.pNext;
    cooperative_matrix2 = supported.cooperative_matrix2;
    cooperative_matrix2.pNext = link;
#endif
}

}  // namespace pumice
