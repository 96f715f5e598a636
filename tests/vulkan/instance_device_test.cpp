#include "vulkan/instance.hpp"

#include <mutex>

#include "catch.hpp"
#include "device_fixture.hpp"

using namespace pumice;
using test::gpu;

TEST_CASE("every device has a record that keeps Vulkan's promises", "[vulkan]") {
    const auto& devices = gpu().instance->devices();
    REQUIRE_FALSE(devices.empty());
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const Capabilities& c = devices[i];
        INFO(c.name);
        CHECK(c.index == i);
        CHECK_FALSE(c.name.empty());
        CHECK(gpu().instance->physical(c.index) != VK_NULL_HANDLE);
        if (!missing_requirement(c).empty()) continue;
        // The least that Vulkan 1.2 allows (Required Limits).
        CHECK(c.max_storage_buffer_range >= std::uint64_t(1) << 27);
        CHECK(c.max_allocation_size >= std::uint64_t(1) << 30);
        CHECK(c.max_buffer_size >= c.max_storage_buffer_range);
        CHECK(c.storage_offset_alignment >= 1);
        CHECK(c.storage_offset_alignment <= 256);
        CHECK(c.max_push_constants >= 128);
        CHECK(c.max_storage_buffers >= 4);
        CHECK(c.max_shared_memory >= 16384);
        CHECK(c.max_workgroup_invocations >= 128);
        CHECK(c.max_workgroup_count[0] >= 65535);
        CHECK(c.subgroup_size >= 1);
        CHECK(c.min_subgroup_size <= c.subgroup_size);
        CHECK(c.subgroup_size <= c.max_subgroup_size);
        CHECK(c.subgroup_basic);
        REQUIRE_FALSE(c.heaps.empty());
        REQUIRE_FALSE(c.memory_types.empty());
        for (const MemoryType& type : c.memory_types) CHECK(type.heap < c.heaps.size());
        for (const MemoryHeap& heap : c.heaps) CHECK(heap.size > 0);
        CHECK((c.timestamp_bits == 0) == (c.timestamp_period == 0));
    }
}

TEST_CASE("a real device is found by index, name and UUID", "[vulkan]") {
    const Instance& instance = *gpu().instance;
    const Capabilities& caps = gpu().device->caps();
    for (const std::string& wanted : {std::to_string(caps.index), uuid_string(caps.uuid)}) {
        const auto chosen = instance.choose(wanted);
        REQUIRE(chosen);
        CHECK(*chosen == caps.index);
    }
    if (instance.devices().size() == 1) {
        const auto chosen = instance.choose(caps.name);
        REQUIRE(chosen);
        CHECK(*chosen == 0u);
    }
    const auto absent = Device::create(gpu().instance, {"no such device", {}, {}});
    REQUIRE_FALSE(absent);
    CHECK(absent.error().code == Code::no_device);
}

TEST_CASE("messages of the validation layer arrive", "[vulkan]") {
    if (!Instance::validation_available()) {
        WARN("the validation layer is not installed");
        return;
    }
    std::mutex mutex;
    std::vector<std::string> messages;
    InstanceOptions options;
    options.validation = true;
    options.on_validation_message = [&](const std::string& message) {
        const std::lock_guard lock(mutex);
        messages.push_back(message);
    };
    {
        const auto instance = Instance::create(options);
        REQUIRE(instance);
        const auto device = Device::create(*instance, {std::to_string(gpu().device->caps().index), {}, {}});
        REQUIRE(device);
        CHECK(messages.empty());
        // On purpose: a buffer of no bytes.
        VkBufferCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
        info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
        VkBuffer buffer = VK_NULL_HANDLE;
        if (vkCreateBuffer((*device)->handle(), &info, nullptr, &buffer) == VK_SUCCESS)
            vkDestroyBuffer((*device)->handle(), buffer, nullptr);
    }
    REQUIRE_FALSE(messages.empty());
    CHECK(messages.front().find("VUID-VkBufferCreateInfo-size-00912") != std::string::npos);
}
