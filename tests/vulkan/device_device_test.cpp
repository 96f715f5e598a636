#include "vulkan/device.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "affine.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"

using namespace pumice;
using test::fresh_device;
using test::gpu;

TEST_CASE("submissions count up and are waited for", "[vulkan]") {
    const auto device = fresh_device();
    CHECK(device->last_submitted() == 0);
    REQUIRE(device->wait(0));
    for (std::uint64_t expected = 1; expected <= 5; ++expected) {
        const auto value = device->submit({});
        REQUIRE(value);
        CHECK(*value == expected);
        CHECK(device->last_submitted() == expected);
    }
    REQUIRE(device->wait(5));
    const auto completed = device->completed();
    REQUIRE(completed);
    CHECK(*completed == 5);
    const auto never = device->wait(6);
    REQUIRE_FALSE(never);
    CHECK(never.error().code == Code::internal);
}

TEST_CASE("each submission sees what the one before wrote, without barriers between them", "[vulkan]") {
    constexpr std::uint32_t kCount = 100'000, kRounds = 20;
    const auto& device = gpu().device;
    const auto ping = device->allocator().create(kCount * 4, Intent::device, "ping");
    const auto pong = device->allocator().create(kCount * 4, Intent::device, "pong");
    REQUIRE(ping);
    REQUIRE(pong);
    std::vector<std::uint32_t> values(kCount);
    std::iota(values.begin(), values.end(), 0u);
    REQUIRE(write_range(device, {*ping, 0, kCount * 4}, std::as_bytes(std::span(values))));

    const auto forth = test::Affine::create(device, 3), back = test::Affine::create(device, 1);
    REQUIRE(forth);
    REQUIRE(back);
    (*forth)->bind(**ping, **pong);
    (*back)->bind(**pong, **ping);
    const auto pool = CommandPool::create(device);
    REQUIRE(pool);
    VkCommandBuffer commands[2]{};
    for (int i = 0; i < 2; ++i) {
        const auto begun = (*pool)->begin();
        REQUIRE(begun);
        commands[i] = *begun;
        (i == 0 ? *forth : *back)->record(commands[i], {kCount, 7});
        REQUIRE((*pool)->end(commands[i]));
    }
    for (std::uint32_t round = 0; round < kRounds; ++round)  // recorded once, submitted again and again
        for (const VkCommandBuffer& c : commands) REQUIRE(device->submit({&c, 1}));
    std::vector<std::uint32_t> result(kCount);
    REQUIRE(read_range(device, {*ping, 0, kCount * 4}, std::as_writable_bytes(std::span(result))));
    for (std::uint32_t round = 0; round < kRounds; ++round)
        for (std::uint32_t& v : values) v = v * 3 + 14;
    CHECK(result == values);
}

TEST_CASE("several threads may submit", "[vulkan]") {
    const auto device = fresh_device();
    constexpr int kThreads = 4, kEach = 50;
    std::vector<std::vector<std::uint64_t>> values(kThreads);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : values)
            threads.emplace_back([&device, &mine] {
                for (int i = 0; i < kEach; ++i)
                    if (const auto value = device->submit({}); value && device->wait(*value)) mine.push_back(*value);
            });
    }
    std::vector<std::uint64_t> all;
    for (const auto& mine : values) all.insert(all.end(), mine.begin(), mine.end());
    std::sort(all.begin(), all.end());
    std::vector<std::uint64_t> expected(kThreads * kEach);
    std::iota(expected.begin(), expected.end(), 1u);
    CHECK(all == expected);
}

TEST_CASE("a lost device stays lost, and a fresh one works", "[vulkan]") {
    const auto device = fresh_device();
    const auto buffer = device->allocator().create(64, Intent::device, "test");
    REQUIRE(buffer);
    REQUIRE(device->submit({}));
    CHECK_FALSE(device->lost());
    const Error error = device->error(VK_ERROR_DEVICE_LOST, "a test");  // as any Vulkan call would report it
    CHECK(error.code == Code::device_lost);
    CHECK(error.message.find("start again") != std::string::npos);
    CHECK(device->lost());

    std::vector<std::byte> bytes(64);
    const auto lost = [](const auto& result) { return !result && result.error().code == Code::device_lost; };
    CHECK(lost(device->submit({})));
    CHECK(lost(device->wait(1)));
    CHECK(lost(device->completed()));
    CHECK(lost(write_range(device, {*buffer, 0, 64}, bytes)));
    CHECK(lost(read_range(device, {*buffer, 0, 64}, bytes)));
    CHECK(lost(test::Affine::create(device, 1)));
    CHECK(device->last_submitted() == 1);

    const auto fresh = fresh_device();
    CHECK_FALSE(fresh->lost());
    const auto value = fresh->submit({});
    REQUIRE(value);
    CHECK(fresh->wait(*value));
}

TEST_CASE("other errors do not lose the device", "[vulkan]") {
    const auto device = fresh_device();
    CHECK(device->error(VK_ERROR_OUT_OF_DEVICE_MEMORY, "a test").code == Code::out_of_device_memory);
    CHECK(device->error(VK_ERROR_OUT_OF_HOST_MEMORY, "a test").message.find(device->caps().name) == 0);
    CHECK_FALSE(device->lost());
}

TEST_CASE("the assumed speed follows what is measured", "[vulkan]") {
    const auto device = fresh_device();
    CHECK(device->assumed_gflops() > 0);
    for (int i = 0; i < 60; ++i) device->observe_gflops(40);
    CHECK(device->assumed_gflops() == Approx(40).epsilon(0.01));
    device->observe_gflops(20);
    CHECK(device->assumed_gflops() == Approx(35).epsilon(0.01));
    for (const double nonsense : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
        device->observe_gflops(nonsense);
    CHECK(device->assumed_gflops() == Approx(35).epsilon(0.01));
}
