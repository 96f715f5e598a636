// The device extensions and feature structs that the engine knows, for asking and for enabling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vulkan/vulkan.h>

namespace pumice {

/// Extensions of a physical device.
class DeviceExtensions {
public:
    explicit DeviceExtensions(VkPhysicalDevice);
    bool has(const char* name) const;
    /// Those of ours that the device has, to be enabled at device creation.
    std::vector<const char*> wanted() const;

private:
    std::vector<std::string> names_;
};

/// Feature structs chained from `core`; only those that the device's version or extensions allow. Not copyable: the
/// structs point at one another.
struct FeatureChain {
    FeatureChain(std::uint32_t api_version, const DeviceExtensions&);
    FeatureChain(const FeatureChain&) = delete;
    FeatureChain& operator=(const FeatureChain&) = delete;

    VkPhysicalDeviceFeatures2 core{};
    VkPhysicalDeviceVulkan11Features v11{};
    VkPhysicalDeviceVulkan12Features v12{};
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup_size{};
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR integer_dot{};
    VkPhysicalDeviceMaintenance4FeaturesKHR maintenance4{};
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperative_matrix{};
#endif
#ifdef VK_NV_cooperative_matrix2
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV cooperative_matrix2{};
#endif

    /// Sets in `this` what kernels may use and `supported` offers.
    void enable_from(const FeatureChain& supported);
};

}  // namespace pumice
