// The Vulkan instance, the list of devices and the choice among them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "vulkan/capabilities.hpp"

namespace pumice {

struct InstanceOptions {
    bool validation = false;  ///< load VK_LAYER_KHRONOS_validation with synchronization checks; error if it is absent
    bool gpu_assisted = false;
    /// Called with every warning and error of the validation layer, on any thread.
    std::function<void(const std::string&)> on_validation_message;
};

class Instance {
public:
    /// Code::no_driver when there is no loader or no driver, with a sentence on what to install.
    static Result<std::shared_ptr<Instance>> create(const InstanceOptions& = {});
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    VkInstance handle() const { return instance_; }

    /// Best first (discrete, integrated, virtual, CPU); one device seen through two drivers is listed once
    /// (same UUID, or same vendor, device and PCI address): the one with the newer Vulkan version stays.
    const std::vector<Capabilities>& devices() const { return devices_; }
    VkPhysicalDevice physical(std::uint32_t index) const { return physical_[index]; }

    /// `wanted`: empty (best), an index into devices(), a UUID (full, or its first 8 or more hex digits), or a part
    /// of the name, case-insensitive. Code::no_device names what there is when nothing, or more than one, matches.
    Result<std::uint32_t> choose(const std::string& wanted) const;

private:
    Instance() = default;
    VkInstance instance_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    InstanceOptions options_;
    std::vector<Capabilities> devices_;
    std::vector<VkPhysicalDevice> physical_;
};

}  // namespace pumice
