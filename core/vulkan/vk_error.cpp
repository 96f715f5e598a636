#include "vulkan/vk_error.hpp"

#include <fmt/format.h>

namespace pumice {

std::string to_string(VkResult result) {
    switch (result) {
#define PUMICE_NAME(x) \
    case x:            \
        return #x
        PUMICE_NAME(VK_SUCCESS);
        PUMICE_NAME(VK_NOT_READY);
        PUMICE_NAME(VK_TIMEOUT);
        PUMICE_NAME(VK_INCOMPLETE);
        PUMICE_NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
        PUMICE_NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        PUMICE_NAME(VK_ERROR_INITIALIZATION_FAILED);
        PUMICE_NAME(VK_ERROR_DEVICE_LOST);
        PUMICE_NAME(VK_ERROR_MEMORY_MAP_FAILED);
        PUMICE_NAME(VK_ERROR_LAYER_NOT_PRESENT);
        PUMICE_NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
        PUMICE_NAME(VK_ERROR_FEATURE_NOT_PRESENT);
        PUMICE_NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
        PUMICE_NAME(VK_ERROR_TOO_MANY_OBJECTS);
        PUMICE_NAME(VK_ERROR_FRAGMENTED_POOL);
        PUMICE_NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
        PUMICE_NAME(VK_ERROR_UNKNOWN);
#undef PUMICE_NAME
        default:
            return fmt::format("VkResult {}", static_cast<int>(result));
    }
}

Error vulkan_error(VkResult result, const std::string& what) {
    const auto make = [&](Code code, const char* advice) {
        return Error{code, fmt::format("{}: {}: {}", what, to_string(result), advice), static_cast<int>(result)};
    };
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
        case VK_ERROR_MEMORY_MAP_FAILED:
            return make(Code::out_of_host_memory,
                        "the computer is out of memory; close other programs or ask for a smaller picture");
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_TOO_MANY_OBJECTS:
        case VK_ERROR_FRAGMENTED_POOL:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
            return make(Code::out_of_device_memory,
                        "the device is out of memory; close other programs that use it, or ask for a smaller picture "
                        "or batch");
        case VK_ERROR_DEVICE_LOST:
            return make(Code::device_lost,
                        "the driver reset the device (a hang, overheating or a driver bug); start again, and if it "
                        "happens again update the driver or choose another device");
        case VK_ERROR_INCOMPATIBLE_DRIVER:
            return make(Code::no_driver,
                        "no usable Vulkan driver; install the one of your GPU, or the software driver (Debian and "
                        "Ubuntu: mesa-vulkan-drivers)");
        case VK_ERROR_LAYER_NOT_PRESENT:
            return make(Code::not_found, "a Vulkan layer is not installed (Debian: vulkan-validationlayers)");
        case VK_ERROR_EXTENSION_NOT_PRESENT:
        case VK_ERROR_FEATURE_NOT_PRESENT:
            return make(Code::missing_feature, "the device lacks it; update the driver or choose another device");
        case VK_ERROR_INITIALIZATION_FAILED:
            return make(Code::no_device, "the driver could not open the device; update it or choose another device");
        default:
            return make(Code::internal, "unexpected; please report it with the output of `pumice devices`");
    }
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) return fmt::format("{} bytes", bytes);
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
    std::string digits = fmt::format("{:.{}f}", value, value < 100 ? 2 : 0);
    if (digits.find('.') != std::string::npos) {
        digits.erase(digits.find_last_not_of('0') + 1);
        if (digits.back() == '.') digits.pop_back();
    }
    return digits + " " + kUnits[unit];
}

}  // namespace pumice
