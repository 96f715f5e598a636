#include "vulkan/memory.hpp"

#include <cstring>
#include <random>
#include <thread>

#include "catch.hpp"
#include "device_fixture.hpp"
#include "vulkan/command.hpp"

using namespace pumice;
using test::fresh_device;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t(1) << 20;

std::shared_ptr<Buffer> make(Device& device, std::uint64_t bytes, Intent intent = Intent::device) {
    auto buffer = device.allocator().create(bytes, intent, "test");
    if (!buffer) FAIL(buffer.error().message);
    return *std::move(buffer);
}

}  // namespace

TEST_CASE("a buffer has its size, rounded up to the widest word", "[vulkan]") {
    const auto device = fresh_device();
    for (const Intent intent : {Intent::device, Intent::upload, Intent::readback, Intent::shared}) {
        const auto buffer = make(*device, 17, intent);
        CHECK(buffer->handle() != VK_NULL_HANDLE);
        CHECK(buffer->size() == 32);
        if (intent != Intent::device) REQUIRE(buffer->mapped());
        if (!buffer->mapped()) continue;
        CHECK(buffer->flush(1, 3));
        CHECK(buffer->invalidate(31, 1));
        CHECK_FALSE(buffer->flush(30, 3));
        CHECK_FALSE(buffer->invalidate(33, 0));
    }
    CHECK(make(*device, 48)->size() == 48);
}

TEST_CASE("small buffers share a block, and its room is reused", "[vulkan]") {
    const auto device = fresh_device();
    const auto first = make(*device, 1000);
    const std::uint64_t block = device->allocator().statistics().device_in_use;
    CHECK(block >= 1 * kMiB);
    CHECK(block <= 64 * kMiB);
    for (int round = 0; round < 1000; ++round) make(*device, kMiB);  // each is freed at once
    std::vector<std::shared_ptr<Buffer>> kept;
    for (int i = 0; i < 100; ++i) kept.push_back(make(*device, 4096));
    CHECK(device->allocator().statistics().device_in_use == block);
    CHECK(device->allocator().statistics().device_peak == block);
    CHECK(device->allocator().statistics().host_in_use == 0);
}

TEST_CASE("a block that is full is followed by another, and empty ones are given back", "[vulkan]") {
    const auto device = fresh_device();
    std::vector<std::shared_ptr<Buffer>> kept;
    kept.push_back(make(*device, kMiB));
    const std::uint64_t block = device->allocator().statistics().device_in_use;
    while (device->allocator().statistics().device_in_use < 3 * block) kept.push_back(make(*device, kMiB));
    kept.clear();
    CHECK(device->allocator().statistics().device_in_use == block);  // one is kept for what comes next
    CHECK(device->allocator().statistics().device_peak == 3 * block);
    device->allocator().reset_peaks();
    CHECK(device->allocator().statistics().device_peak == block);
}

TEST_CASE("a large buffer has memory of its own, given back with it", "[vulkan]") {
    const auto device = fresh_device();
    auto large = make(*device, 48 * kMiB);
    CHECK(device->allocator().statistics().device_in_use >= 48 * kMiB);
    CHECK(device->allocator().statistics().device_in_use < 49 * kMiB);
    large.reset();
    CHECK(device->allocator().statistics().device_in_use == 0);
    CHECK(device->allocator().statistics().device_peak >= 48 * kMiB);
    const auto upload = make(*device, 40 * kMiB, Intent::upload);
    CHECK(device->allocator().statistics().device_in_use == 0);
    CHECK(device->allocator().statistics().host_in_use >= 40 * kMiB);
}

TEST_CASE("buffers do not overlap", "[vulkan]") {
    const auto device = fresh_device();
    std::mt19937 random(3);
    struct Held {
        std::shared_ptr<Buffer> buffer;
        std::vector<std::byte> content;
    };
    std::vector<Held> held;
    for (int step = 0; step < 300; ++step) {
        if (random() % 3 == 0 && !held.empty()) {
            std::swap(held[random() % held.size()], held.back());
            held.pop_back();
            continue;
        }
        Held h{make(*device, 1 + random() % 20000, random() % 2 ? Intent::device : Intent::shared), {}};
        h.content.assign(h.buffer->size(), static_cast<std::byte>(random()));
        REQUIRE(write_range(device, {h.buffer, 0, h.buffer->size()}, h.content));
        held.push_back(std::move(h));
    }
    for (const Held& h : held) {
        std::vector<std::byte> back(h.content.size());
        REQUIRE(read_range(device, {h.buffer, 0, h.buffer->size()}, back));
        REQUIRE(back == h.content);
    }
}

TEST_CASE("a request over the limit is refused with sizes and advice", "[vulkan]") {
    const auto device = fresh_device();
    Allocator& allocator = device->allocator();
    allocator.set_limit(10 * kMiB);
    const auto refused = allocator.create(48 * kMiB, Intent::device, "activations");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::out_of_device_memory);
    for (const char* part : {"activations", "48 MiB", "10 MiB", "smaller picture"})
        CHECK(refused.error().message.find(part) != std::string::npos);
    CHECK(allocator.statistics().device_in_use == 0);
    CHECK(allocator.device_bytes_free() <= 10 * kMiB);

    // What fits is still given, in a smaller block than usual; memory of the host is not limited.
    const auto small = make(*device, kMiB);
    CHECK(allocator.statistics().device_in_use <= 10 * kMiB);
    make(*device, 40 * kMiB, Intent::upload);
    CHECK_FALSE(allocator.create(12 * kMiB, Intent::shared, "test"));

    allocator.set_limit(0);
    make(*device, 48 * kMiB);
}

TEST_CASE("an empty block makes room before a request is refused", "[vulkan]") {
    const auto device = fresh_device();
    make(*device, kMiB);  // leaves one empty block behind
    const std::uint64_t block = device->allocator().statistics().device_in_use;
    REQUIRE(block > 0);
    device->allocator().set_limit(block + kMiB);
    const auto buffer = make(*device, block);
    CHECK(device->allocator().statistics().device_in_use <= block + kMiB);
}

TEST_CASE("absurd sizes are refused", "[vulkan]") {
    const auto device = fresh_device();
    for (const std::uint64_t bytes : {~std::uint64_t(0), std::uint64_t(1) << 60, ~std::uint64_t(0) - 15})
        for (const Intent intent : {Intent::device, Intent::upload, Intent::readback, Intent::shared}) {
            const auto refused = device->allocator().create(bytes, intent, "test");
            REQUIRE_FALSE(refused);
            CHECK(refused.error().code == Code::out_of_device_memory);
        }
    const auto nothing = device->allocator().create(0, Intent::device, "test");
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == Code::invalid_argument);
}

TEST_CASE("free device memory never counts what is taken", "[vulkan]") {
    const auto device = fresh_device();
    const Capabilities& caps = device->caps();
    const std::uint64_t heap = caps.heaps[caps.memory_types[memory_types_for(caps, Intent::device).front()].heap].size;
    CHECK(device->allocator().device_bytes_free() > 0);
    const auto taken = make(*device, 48 * kMiB);
    // A budget moves with what other programs do; the heap's size and the limit do not.
    CHECK(device->allocator().device_bytes_free() <= heap - 48 * kMiB);
    device->allocator().set_limit(50 * kMiB);
    CHECK(device->allocator().device_bytes_free() <= 2 * kMiB);
}

TEST_CASE("a buffer may outlive the device object", "[vulkan]") {
    auto device = fresh_device();
    auto buffer = make(*device, 64, Intent::upload);
    device.reset();
    std::memset(buffer->mapped(), 1, 64);
    CHECK(buffer->flush(0, 64));
    buffer.reset();
}

TEST_CASE("several threads may allocate", "[vulkan]") {
    const auto device = fresh_device();
    std::atomic<int> failures{0};
    {
        std::vector<std::jthread> threads;
        for (unsigned seed = 0; seed < 4; ++seed)
            threads.emplace_back([&, seed] {
                std::mt19937 random(seed);
                std::vector<std::shared_ptr<Buffer>> held;
                for (int i = 0; i < 300; ++i) {
                    auto made = device->allocator().create(1 + random() % 100000, Intent::shared, "test");
                    if (!made)
                        ++failures;
                    else
                        held.push_back(*std::move(made));
                    if (held.size() > 20) held.erase(held.begin() + random() % 20);
                }
            });
    }
    CHECK(failures == 0);
    make(*device, 16);
    CHECK(device->allocator().statistics().device_in_use <= 2 * 64 * kMiB);
}
