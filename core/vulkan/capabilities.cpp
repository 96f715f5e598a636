#include "vulkan/capabilities.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "vulkan/features.hpp"

namespace pumice {
namespace {

DeviceType device_type(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return DeviceType::discrete;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return DeviceType::integrated;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return DeviceType::virtual_gpu;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return DeviceType::cpu;
        default:
            return DeviceType::other;
    }
}

void read_limits(Capabilities& caps, const VkPhysicalDeviceLimits& limits) {
    caps.max_storage_buffer_range = limits.maxStorageBufferRange;
    caps.max_allocation_count = limits.maxMemoryAllocationCount;
    caps.storage_offset_alignment = static_cast<std::uint32_t>(limits.minStorageBufferOffsetAlignment);
    caps.non_coherent_atom = std::max<std::uint64_t>(1, limits.nonCoherentAtomSize);
    caps.max_push_constants = limits.maxPushConstantsSize;
    caps.max_storage_buffers = limits.maxPerStageDescriptorStorageBuffers;
    caps.max_shared_memory = limits.maxComputeSharedMemorySize;
    caps.max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
    std::copy_n(limits.maxComputeWorkGroupSize, 3, caps.max_workgroup_size.begin());
    std::copy_n(limits.maxComputeWorkGroupCount, 3, caps.max_workgroup_count.begin());
    caps.timestamp_period = limits.timestampPeriod;
}

/// What the property structs of Vulkan 1.1, 1.2 and the extensions say.
void read_properties(Capabilities& caps, VkPhysicalDevice device, const DeviceExtensions& extensions) {
    VkPhysicalDeviceProperties2 properties{};
    VkPhysicalDeviceVulkan11Properties v11{};
    VkPhysicalDeviceVulkan12Properties v12{};
    VkPhysicalDeviceIDProperties id{};
    VkPhysicalDeviceMaintenance3Properties maintenance3{};
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT subgroup{};
    VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR dot{};
    VkPhysicalDeviceMaintenance4PropertiesKHR maintenance4{};
    VkPhysicalDevicePCIBusInfoPropertiesEXT pci{};

    void** next = &properties.pNext;
    const auto link = [&](auto& s, VkStructureType type) {
        s.sType = type;
        *next = &s;
        next = &s.pNext;
    };
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    const bool has12 = caps.api_version >= VK_API_VERSION_1_2;
    if (has12) {
        link(v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
        link(v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
    } else if (caps.api_version >= VK_API_VERSION_1_1) {
        link(id, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES);
        link(maintenance3, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES);
    }
    if (extensions.has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        link(subgroup, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT);
    if (extensions.has(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
        link(dot, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR);
    if (extensions.has(VK_KHR_MAINTENANCE_4_EXTENSION_NAME))
        link(maintenance4, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES_KHR);
    if (extensions.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME))
        link(pci, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT);
    vkGetPhysicalDeviceProperties2(device, &properties);

    std::copy_n(has12 ? v11.deviceUUID : id.deviceUUID, VK_UUID_SIZE, caps.uuid.begin());
    caps.driver_name = v12.driverName;
    caps.driver_info = v12.driverInfo;
    caps.max_allocation_size = has12 ? v11.maxMemoryAllocationSize : maintenance3.maxMemoryAllocationSize;
    if (caps.max_allocation_size == 0) caps.max_allocation_size = std::uint64_t(1) << 30;  // the least a driver may say
    caps.max_buffer_size = maintenance4.maxBufferSize ? maintenance4.maxBufferSize : caps.max_allocation_size;
    if (extensions.has(VK_EXT_PCI_BUS_INFO_EXTENSION_NAME))
        caps.pci = PciAddress{pci.pciDomain, pci.pciBus, pci.pciDevice, pci.pciFunction};

    caps.subgroup_size = v11.subgroupSize;
    const bool control = (subgroup.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    caps.min_subgroup_size = control ? subgroup.minSubgroupSize : caps.subgroup_size;
    caps.max_subgroup_size = control ? subgroup.maxSubgroupSize : caps.subgroup_size;
    caps.subgroup_size_control = control;  // and the feature: see read_features
    const VkSubgroupFeatureFlags ops =
        (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) ? v11.subgroupSupportedOperations : 0;
    caps.subgroup_basic = ops & VK_SUBGROUP_FEATURE_BASIC_BIT;
    caps.subgroup_arithmetic = ops & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    caps.subgroup_shuffle = ops & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    caps.subgroup_ballot = ops & VK_SUBGROUP_FEATURE_BALLOT_BIT;
    caps.integer_dot_accelerated = dot.integerDotProduct4x8BitPackedSignedAccelerated;
    caps.denorm_preserve_f32 = v12.shaderDenormPreserveFloat32;
    caps.rte_f32 = v12.shaderRoundingModeRTEFloat32;
}

void read_features(Capabilities& caps, VkPhysicalDevice device, const DeviceExtensions& extensions) {
    FeatureChain f(caps.api_version, extensions);
    vkGetPhysicalDeviceFeatures2(device, &f.core);
    caps.int16 = f.core.features.shaderInt16;
    caps.int64 = f.core.features.shaderInt64;
    caps.storage_16bit = f.v11.storageBuffer16BitAccess;
    caps.storage_8bit = f.v12.storageBuffer8BitAccess;
    caps.float16 = f.v12.shaderFloat16;
    caps.int8 = f.v12.shaderInt8;
    caps.timeline_semaphore = f.v12.timelineSemaphore;
    caps.subgroup_size_control = caps.subgroup_size_control && f.subgroup_size.subgroupSizeControl;
    if (!caps.subgroup_size_control) caps.min_subgroup_size = caps.max_subgroup_size = caps.subgroup_size;
    caps.integer_dot_product = f.integer_dot.shaderIntegerDotProduct;
    caps.integer_dot_accelerated = caps.integer_dot_accelerated && caps.integer_dot_product;
#ifdef VK_NV_cooperative_matrix2
    caps.cooperative_matrix2 = f.cooperative_matrix2.cooperativeMatrixFlexibleDimensions;
#endif
}

#ifdef VK_KHR_cooperative_matrix
std::string component(VkComponentTypeKHR type) {
    switch (type) {
        case VK_COMPONENT_TYPE_FLOAT16_KHR:
            return "f16";
        case VK_COMPONENT_TYPE_FLOAT32_KHR:
            return "f32";
        case VK_COMPONENT_TYPE_FLOAT64_KHR:
            return "f64";
        case VK_COMPONENT_TYPE_SINT8_KHR:
            return "s8";
        case VK_COMPONENT_TYPE_SINT16_KHR:
            return "s16";
        case VK_COMPONENT_TYPE_SINT32_KHR:
            return "s32";
        case VK_COMPONENT_TYPE_SINT64_KHR:
            return "s64";
        case VK_COMPONENT_TYPE_UINT8_KHR:
            return "u8";
        case VK_COMPONENT_TYPE_UINT16_KHR:
            return "u16";
        case VK_COMPONENT_TYPE_UINT32_KHR:
            return "u32";
        case VK_COMPONENT_TYPE_UINT64_KHR:
            return "u64";
#ifdef VK_KHR_shader_bfloat16
        case VK_COMPONENT_TYPE_BFLOAT16_KHR:
            return "bf16";
#endif
        default:
            return fmt::format("type{}", static_cast<int>(type));
    }
}
#endif

void read_cooperative_matrices([[maybe_unused]] Capabilities& caps, [[maybe_unused]] VkInstance instance,
                               [[maybe_unused]] VkPhysicalDevice device,
                               [[maybe_unused]] const DeviceExtensions& extensions) {
#ifdef VK_KHR_cooperative_matrix
    if (!extensions.has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) return;
    const auto query = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    FeatureChain features(caps.api_version, extensions);
    vkGetPhysicalDeviceFeatures2(device, &features.core);
    if (!query || !features.cooperative_matrix.cooperativeMatrix) return;
    std::uint32_t count = 0;
    if (query(device, &count, nullptr) != VK_SUCCESS) return;
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes(count);
    for (auto& s : shapes) s.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;  // the rest is zero
    if (query(device, &count, shapes.data()) != VK_SUCCESS) return;
    for (const auto& s : shapes)
        caps.cooperative_matrices.push_back({s.MSize, s.NSize, s.KSize, component(s.AType), component(s.BType),
                                             component(s.CType), component(s.ResultType),
                                             s.saturatingAccumulation == VK_TRUE, s.scope == VK_SCOPE_SUBGROUP_KHR});
#endif
}

void read_memory(Capabilities& caps, VkPhysicalDevice device, const DeviceExtensions& extensions) {
    VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, nullptr, {}};
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    caps.memory_budget = extensions.has(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (caps.memory_budget) memory.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(device, &memory);
    const auto& p = memory.memoryProperties;
    for (std::uint32_t i = 0; i < p.memoryHeapCount; ++i)
        caps.heaps.push_back({p.memoryHeaps[i].size, caps.memory_budget ? budget.heapBudget[i] : p.memoryHeaps[i].size,
                              caps.memory_budget ? budget.heapUsage[i] : 0,
                              (p.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0});
    constexpr VkMemoryPropertyFlags kOrdinary =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    std::uint64_t largest = 0;
    for (const MemoryHeap& heap : caps.heaps)
        if (heap.device_local) largest = std::max(largest, heap.size);
    for (std::uint32_t i = 0; i < p.memoryTypeCount; ++i) {
        const VkMemoryPropertyFlags flags = p.memoryTypes[i].propertyFlags;
        const MemoryType t{p.memoryTypes[i].heapIndex,
                           (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0,
                           (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0,
                           (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0,
                           (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0,
                           (flags & ~kOrdinary) != 0};
        caps.memory_types.push_back(t);
        const bool on_largest = caps.heaps[t.heap].device_local && caps.heaps[t.heap].size == largest;
        caps.unified_memory = caps.unified_memory || (t.device_local && t.host_visible && !t.special && on_largest);
    }
}

void read_queues(Capabilities& caps, VkPhysicalDevice device) {
    std::uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    // A family without graphics keeps the desktop responsive while a picture is made; timestamps are wanted for
    // cutting submissions.
    int best = -1;
    for (std::uint32_t i = 0; i < count; ++i) {
        const VkQueueFamilyProperties& q = families[i];
        if (q.queueCount == 0 || !(q.queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
        const int score = (q.timestampValidBits ? 2 : 0) + ((q.queueFlags & VK_QUEUE_GRAPHICS_BIT) ? 0 : 1);
        if (score <= best) continue;
        best = score;
        caps.compute_queue = true;
        caps.compute_queue_family = i;
        caps.timestamp_bits = q.timestampValidBits;
    }
    if (caps.timestamp_bits == 0) caps.timestamp_period = 0;
}

}  // namespace

std::string missing_requirement(const Capabilities& caps) {
    if (caps.api_version < VK_API_VERSION_1_2)
        return fmt::format("Vulkan 1.2 (it has {}.{})", VK_API_VERSION_MAJOR(caps.api_version),
                           VK_API_VERSION_MINOR(caps.api_version));
    if (!caps.timeline_semaphore) return "timeline semaphores";
    if (!caps.compute_queue) return "a compute queue";
    return {};
}

const char* to_string(DeviceType type) {
    switch (type) {
        case DeviceType::discrete:
            return "discrete";
        case DeviceType::integrated:
            return "integrated";
        case DeviceType::virtual_gpu:
            return "virtual";
        case DeviceType::cpu:
            return "cpu";
        case DeviceType::other:
            break;
    }
    return "other";
}

std::string uuid_string(const std::array<std::uint8_t, 16>& uuid) {
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

Capabilities query_capabilities(VkInstance instance, VkPhysicalDevice device) {
    Capabilities caps;
    VkPhysicalDeviceProperties basic{};
    vkGetPhysicalDeviceProperties(device, &basic);
    caps.name = basic.deviceName;
    caps.type = device_type(basic.deviceType);
    caps.vendor_id = basic.vendorID;
    caps.device_id = basic.deviceID;
    caps.driver_version = basic.driverVersion;
    caps.api_version = basic.apiVersion;
    std::copy_n(basic.pipelineCacheUUID, VK_UUID_SIZE, caps.pipeline_cache_uuid.begin());
    read_limits(caps, basic.limits);
    const DeviceExtensions extensions(device);
    read_properties(caps, device, extensions);
    read_features(caps, device, extensions);
    read_cooperative_matrices(caps, instance, device, extensions);
    read_memory(caps, device, extensions);
    read_queues(caps, device);
    return caps;
}

}  // namespace pumice
