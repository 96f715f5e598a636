#include "vulkan/vk_error.hpp"

#include <set>

#include "catch.hpp"

using namespace pumice;

TEST_CASE("each failure has its own code and says what to do", "[vulkan]") {
    const std::pair<VkResult, Code> table[] = {
        {VK_ERROR_OUT_OF_HOST_MEMORY, Code::out_of_host_memory},
        {VK_ERROR_OUT_OF_DEVICE_MEMORY, Code::out_of_device_memory},
        {VK_ERROR_DEVICE_LOST, Code::device_lost},
        {VK_ERROR_INCOMPATIBLE_DRIVER, Code::no_driver},
        {VK_ERROR_INITIALIZATION_FAILED, Code::no_device},
        {VK_ERROR_FEATURE_NOT_PRESENT, Code::missing_feature},
        {VK_ERROR_LAYER_NOT_PRESENT, Code::not_found},
        {VK_ERROR_UNKNOWN, Code::internal},
    };
    std::set<std::string> messages;
    for (const auto& [result, code] : table) {
        const Error error = vulkan_error(result, "testing");
        CHECK(error.code == code);
        CHECK(error.vk_result == static_cast<int>(result));
        CHECK(error.message.find("testing: " + to_string(result) + ": ") == 0);
        CHECK(error.message.find('\n') == std::string::npos);
        messages.insert(error.message);
    }
    CHECK(messages.size() == std::size(table));
    CHECK(to_string(static_cast<VkResult>(-4711)) == "VkResult -4711");
}

TEST_CASE("bytes are written for people", "[vulkan]") {
    CHECK(bytes_text(0) == "0 bytes");
    CHECK(bytes_text(1023) == "1023 bytes");
    CHECK(bytes_text(1024) == "1 KiB");
    CHECK(bytes_text(std::uint64_t(64) << 20) == "64 MiB");
    CHECK(bytes_text(std::uint64_t(3) << 29) == "1.5 GiB");
    CHECK(bytes_text((std::uint64_t(128) << 20) + 1) == "128 MiB");
    CHECK(bytes_text(std::uint64_t(5000) << 40) == "5000 TiB");
}
