#include "vulkan/capabilities.hpp"

#include "catch.hpp"

using namespace pumice;

TEST_CASE("what a device lacks is named", "[vulkan]") {
    Capabilities caps;
    caps.api_version = VK_MAKE_API_VERSION(0, 1, 1, 126);
    CHECK(missing_requirement(caps) == "Vulkan 1.2 (it has 1.1)");
    caps.api_version = VK_API_VERSION_1_2;
    CHECK(missing_requirement(caps) == "timeline semaphores");
    caps.timeline_semaphore = true;
    CHECK(missing_requirement(caps) == "a compute queue");
    caps.compute_queue = true;
    CHECK(missing_requirement(caps).empty());
}

TEST_CASE("a UUID is written as others write it", "[vulkan]") {
    std::array<std::uint8_t, 16> uuid{};
    for (std::size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::uint8_t>(i * 17);
    CHECK(uuid_string(uuid) == "00112233-4455-6677-8899-aabbccddeeff");
}
