// VkResult to words.
#pragma once

#include <cstdint>
#include <string>

#include <vulkan/vulkan.h>

#include "base/result.hpp"

namespace pumice {

/// "VK_ERROR_DEVICE_LOST"; "VkResult -1234" for one without a name here.
std::string to_string(VkResult);

/// The error code and the sentence on what to do. `what` says what was attempted ("submitting work").
Error vulkan_error(VkResult, const std::string& what);

/// "1.5 GiB", "64 MiB", "12 bytes".
std::string bytes_text(std::uint64_t bytes);

}  // namespace pumice
