#include "vulkan/profiler.hpp"

#include <chrono>

#include "affine.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"

using namespace pumice;
using test::gpu;

TEST_CASE("time on the device passes and fits into time on the host", "[vulkan]") {
    const auto& device = gpu().device;
    constexpr std::uint32_t kCount = 1 << 20;
    const auto x = device->allocator().create(kCount * 4, Intent::device, "x");
    const auto y = device->allocator().create(kCount * 4, Intent::device, "y");
    REQUIRE(x);
    REQUIRE(y);
    const auto affine = test::Affine::create(device, 2);
    REQUIRE(affine);
    (*affine)->bind(**x, **y);
    const auto times = Timestamps::create(device, 3);
    REQUIRE(times);
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(run_commands(device, [&](VkCommandBuffer commands) {
        (*times)->reset(commands, 0, 3);
        (*times)->write(commands, 0);
        (*affine)->record(commands, {kCount, 1});
        (*times)->write(commands, 1);
    }));
    const std::chrono::duration<double, std::nano> wall = std::chrono::steady_clock::now() - begin;
    const auto measured = (*times)->nanoseconds(0, 1);
    REQUIRE(measured);
    if (device->caps().timestamp_bits == 0) {
        CHECK(*measured == 0);
        return;
    }
    CHECK(*measured > 0);
    CHECK(*measured <= wall.count() * 1.05);
    const auto unwritten = (*times)->nanoseconds(0, 2);
    REQUIRE_FALSE(unwritten);
    CHECK(unwritten.error().code == Code::internal);
}
