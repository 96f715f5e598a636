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

/// The devices worth listing, best first, as indices into `found`: usable ones before others, then discrete,
/// integrated, virtual, CPU; among equals the one with more device-local memory. One device seen through two drivers
/// (same UUID, or same vendor, device and PCI address) appears once: a usable one is preferred, then the newer Vulkan
/// version, then the one found first.
std::vector<std::size_t> rank_devices(const std::vector<Capabilities>& found);

/// See Instance::choose.
Result<std::uint32_t> choose_device(const std::vector<Capabilities>& devices, const std::string& wanted);

class Instance {
public:
    /// Whether VK_LAYER_KHRONOS_validation is installed.
    static bool validation_available();

    /// Code::no_driver when there is no loader or no driver, with a sentence on what to install.
    static Result<std::shared_ptr<Instance>> create(const InstanceOptions& = {});
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    VkInstance handle() const { return instance_; }

    /// As rank_devices orders them. Empty when drivers are installed, but none shows a device.
    const std::vector<Capabilities>& devices() const { return devices_; }
    VkPhysicalDevice physical(std::uint32_t index) const { return physical_[index]; }

    /// `wanted`: empty (best), an index into devices(), a UUID (full, or its first 8 or more hex digits), or a part
    /// of the name, case-insensitive. Code::no_device names what there is when nothing, or more than one, matches.
    /// One or two digits are always an index.
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
