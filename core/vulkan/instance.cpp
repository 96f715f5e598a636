#include "vulkan/instance.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <tuple>

#include <fmt/format.h>

#include "vulkan/vk_error.hpp"

namespace pumice {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

bool has_extension(const char* layer, const char* name) {
    std::uint32_t count = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &count, nullptr) != VK_SUCCESS) return false;
    std::vector<VkExtensionProperties> found(count);
    if (vkEnumerateInstanceExtensionProperties(layer, &count, found.data()) < VK_SUCCESS) return false;
    return std::any_of(found.begin(), found.end(),
                       [&](const VkExtensionProperties& p) { return std::strcmp(p.extensionName, name) == 0; });
}

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
    const auto& options = *static_cast<const InstanceOptions*>(user);
    if (options.on_validation_message) options.on_validation_message(data->pMessage);
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(InstanceOptions& options) {
    VkDebugUtilsMessengerCreateInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    info.pfnUserCallback = on_message;
    info.pUserData = &options;
    return info;
}

/// vkCreateInstance with what `options` ask for; `options` must outlive the instance.
Result<VkInstance> create_instance(InstanceOptions& options) {
    std::vector<const char*> extensions, layers;
    VkApplicationInfo app{};
    app.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    app.pApplicationName = "pumice";
    app.pEngineName = "pumice";
    app.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &app;
    if (has_extension(nullptr, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions.push_back(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }

    std::vector<VkValidationFeatureEnableEXT> checks{VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    if (options.gpu_assisted) {
        checks.push_back(VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT);
        checks.push_back(VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT);
    }
    VkValidationFeaturesEXT validation{};
    validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    validation.enabledValidationFeatureCount = static_cast<std::uint32_t>(checks.size());
    validation.pEnabledValidationFeatures = checks.data();
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(options);
    validation.pNext = &messenger;
    if (options.validation) {
        if (!Instance::validation_available())
            return Error{
                Code::not_found,
                fmt::format("{} is not installed (Debian and Ubuntu: vulkan-validationlayers)", kValidationLayer)};
        layers.push_back(kValidationLayer);
        extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
        info.pNext = &validation;
    }
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    info.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
    info.ppEnabledLayerNames = layers.data();
    VkInstance instance = VK_NULL_HANDLE;
    const VkResult r = vkCreateInstance(&info, nullptr, &instance);
    if (r == VK_ERROR_INITIALIZATION_FAILED) return vulkan_error(VK_ERROR_INCOMPATIBLE_DRIVER, "starting Vulkan");
    if (r != VK_SUCCESS) return vulkan_error(r, "starting Vulkan");
    return instance;
}

bool zero(const std::array<std::uint8_t, 16>& uuid) {
    return std::all_of(uuid.begin(), uuid.end(), [](std::uint8_t b) { return b == 0; });
}

bool same_device(const Capabilities& a, const Capabilities& b) {
    if (!zero(a.uuid) && a.uuid == b.uuid) return true;
    return a.vendor_id == b.vendor_id && a.device_id == b.device_id && a.pci && a.pci == b.pci;
}

std::uint64_t device_memory(const Capabilities& caps) {
    std::uint64_t largest = 0;
    for (const MemoryHeap& heap : caps.heaps)
        if (heap.device_local) largest = std::max(largest, heap.size);
    return largest;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// The hex digits of `text` without dashes, in lower case; empty when it holds anything else.
std::string hex_digits(const std::string& text) {
    std::string digits;
    for (const unsigned char c : text) {
        if (c == '-') continue;
        if (!std::isxdigit(c)) return {};
        digits += static_cast<char>(std::tolower(c));
    }
    return digits;
}

std::string list_of(const std::vector<Capabilities>& devices) {
    std::string text;
    for (std::size_t i = 0; i < devices.size(); ++i)
        text += fmt::format("{}{} \"{}\" ({}, {})", i ? "; " : "", i, devices[i].name, to_string(devices[i].type),
                            uuid_string(devices[i].uuid));
    return text;
}

}  // namespace

std::vector<std::size_t> rank_devices(const std::vector<Capabilities>& found) {
    std::vector<std::size_t> kept;
    const auto better_driver = [](const Capabilities& a, const Capabilities& b) {
        return std::make_tuple(missing_requirement(a).empty(), a.api_version) >
               std::make_tuple(missing_requirement(b).empty(), b.api_version);
    };
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto twin =
            std::find_if(kept.begin(), kept.end(), [&](std::size_t k) { return same_device(found[k], found[i]); });
        if (twin == kept.end())
            kept.push_back(i);
        else if (better_driver(found[i], found[*twin]))
            *twin = i;
    }
    const auto rank = [&](std::size_t i) {
        const Capabilities& c = found[i];
        return std::make_tuple(!missing_requirement(c).empty(), c.type, ~device_memory(c));
    };
    std::stable_sort(kept.begin(), kept.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    return kept;
}

Result<std::uint32_t> choose_device(const std::vector<Capabilities>& devices, const std::string& wanted) {
    if (devices.empty())
        return Error{Code::no_device,
                     "Vulkan drivers are installed, but none shows a device; install the driver of your GPU, or the "
                     "software driver (Debian and Ubuntu: mesa-vulkan-drivers)"};
    if (wanted.empty()) return 0u;

    std::vector<std::uint32_t> matches;
    const bool digits = std::all_of(wanted.begin(), wanted.end(), [](unsigned char c) { return std::isdigit(c); });
    if (digits && wanted.size() <= 2) {
        std::uint32_t index = 0;
        std::from_chars(wanted.data(), wanted.data() + wanted.size(), index);
        if (index < devices.size()) matches.push_back(index);
    } else {
        const std::string uuid = hex_digits(wanted), name = lower(wanted);
        for (std::uint32_t i = 0; i < devices.size(); ++i)
            if (uuid.size() >= 8 && hex_digits(uuid_string(devices[i].uuid)).starts_with(uuid)) matches.push_back(i);
        if (matches.empty())
            for (std::uint32_t i = 0; i < devices.size(); ++i)
                if (lower(devices[i].name).find(name) != std::string::npos) matches.push_back(i);
    }
    if (matches.size() == 1) return matches.front();
    return Error{Code::no_device,
                 fmt::format("{} Vulkan device matches \"{}\"; choose by index, UUID or part of the name among: {}",
                             matches.empty() ? "no" : "more than one", wanted, list_of(devices))};
}

bool Instance::validation_available() {
    std::uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, nullptr) != VK_SUCCESS) return false;
    std::vector<VkLayerProperties> layers(count);
    if (vkEnumerateInstanceLayerProperties(&count, layers.data()) < VK_SUCCESS) return false;
    return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& layer) {
        return std::strcmp(layer.layerName, kValidationLayer) == 0;
    });
}

Result<std::shared_ptr<Instance>> Instance::create(const InstanceOptions& options) {
    const std::shared_ptr<Instance> made(new Instance);
    made->options_ = options;
    PUMICE_ASSIGN(made->instance_, create_instance(made->options_));
    if (options.validation) {
        const auto create_messenger = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
            vkGetInstanceProcAddr(made->instance_, "vkCreateDebugUtilsMessengerEXT"));
        const VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(made->options_);
        if (const VkResult r = create_messenger(made->instance_, &info, nullptr, &made->messenger_); r != VK_SUCCESS)
            return vulkan_error(r, "listening to the validation layer");
    }

    std::uint32_t count = 0;
    VkResult r = vkEnumeratePhysicalDevices(made->instance_, &count, nullptr);
    std::vector<VkPhysicalDevice> physical(count);
    if (r == VK_SUCCESS && count > 0) r = vkEnumeratePhysicalDevices(made->instance_, &count, physical.data());
    // Loaders answer so when drivers are there, but every one of them failed to start.
    if (r == VK_ERROR_INITIALIZATION_FAILED) return vulkan_error(VK_ERROR_INCOMPATIBLE_DRIVER, "listing devices");
    if (r < VK_SUCCESS) return vulkan_error(r, "listing devices");
    physical.resize(count);

    std::vector<Capabilities> found;
    for (VkPhysicalDevice device : physical) found.push_back(query_capabilities(made->instance_, device));
    for (const std::size_t i : rank_devices(found)) {
        found[i].index = static_cast<std::uint32_t>(made->devices_.size());
        made->devices_.push_back(found[i]);
        made->physical_.push_back(physical[i]);
    }
    return made;
}

Instance::~Instance() {
    if (messenger_) {
        const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
            vkGetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"));
        destroy(instance_, messenger_, nullptr);
    }
    if (instance_) vkDestroyInstance(instance_, nullptr);
}

Result<std::uint32_t> Instance::choose(const std::string& wanted) const {
    return choose_device(devices_, wanted);
}

}  // namespace pumice
