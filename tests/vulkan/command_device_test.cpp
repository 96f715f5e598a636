#include "vulkan/command.hpp"

#include <random>

#include "catch.hpp"
#include "device_fixture.hpp"

using namespace pumice;
using test::gpu;

namespace {

std::vector<std::byte> noise(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    return bytes;
}

using Write = Status (*)(const std::shared_ptr<Device>&, const BufferRange&, std::span<const std::byte>);
using Read = Status (*)(const std::shared_ptr<Device>&, const BufferRange&, std::span<std::byte>);

}  // namespace

TEST_CASE("bytes come back as they were written, whatever their number and place", "[vulkan]") {
    const auto& device = gpu().device;
    const std::pair<Write, Read> ways[]{
        {write_range, read_range}, {write_staged, read_staged}, {write_range, read_staged}, {write_staged, read_range}};
    for (const auto& [write, read] : ways)
        for (const std::size_t size : {1u, 2u, 3u, 5u, 15u, 16u, 17u, 255u, 4097u, 1048577u})
            for (const std::size_t offset : {0u, 1u, 6u, 4099u}) {
                const std::size_t total = offset + size + 9;
                auto expected = noise(total, 1);
                const auto buffer = device->allocator().create(total, Intent::device, "test");
                REQUIRE(buffer);
                REQUIRE(write(device, {*buffer, 0, total}, expected));
                const auto part = noise(size, 2);
                REQUIRE(write(device, {*buffer, offset, size}, part));
                std::copy(part.begin(), part.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
                std::vector<std::byte> whole(total), again(size);
                REQUIRE(read(device, {*buffer, 0, total}, whole));
                REQUIRE(read(device, {*buffer, offset, size}, again));
                REQUIRE(whole == expected);  // the neighbours are untouched
                REQUIRE(again == part);
            }
}

TEST_CASE("a transfer larger than the staging buffer goes in pieces", "[vulkan]") {
    const auto& device = gpu().device;
    const auto bytes = noise((std::size_t(33) << 20) + 7, 3);
    const auto buffer = device->allocator().create(bytes.size(), Intent::device, "test");
    REQUIRE(buffer);
    REQUIRE(write_staged(device, {*buffer, 0, bytes.size()}, bytes));
    std::vector<std::byte> back(bytes.size());
    REQUIRE(read_staged(device, {*buffer, 0, bytes.size()}, back));
    CHECK((back == bytes));
}

TEST_CASE("ranges are checked before anything is touched", "[vulkan]") {
    const auto& device = gpu().device;
    const auto buffer = device->allocator().create(64, Intent::device, "test");
    REQUIRE(buffer);
    std::vector<std::byte> bytes(32);
    const BufferRange bad[]{{*buffer, 40, 32},  // ends beyond the buffer
                            {*buffer, 65, 0},   // begins beyond it
                            {*buffer, 0, 31},   // smaller than the bytes
                            {*buffer, ~std::uint64_t(0) - 7, 32},
                            {nullptr, 0, 32}};  // overflows; is none
    for (const BufferRange& range : bad) {
        CHECK_FALSE(write_range(device, range, bytes));
        CHECK_FALSE(read_range(device, range, bytes));
        CHECK_FALSE(write_staged(device, range, bytes));
        CHECK_FALSE(read_staged(device, range, bytes));
    }
    const std::uint64_t before = device->last_submitted();
    CHECK(write_range(device, {*buffer, 64, 0}, {}));
    CHECK(read_staged(device, {*buffer, 64, 0}, {}));
    CHECK(device->last_submitted() == before);
}

TEST_CASE("mapped memory shows what the device wrote", "[vulkan]") {
    const auto& device = gpu().device;
    const auto from = device->allocator().create(256, Intent::shared, "test");
    const auto to = device->allocator().create(256, Intent::readback, "test");
    REQUIRE(from);
    REQUIRE(to);
    const auto bytes = noise(256, 4);
    std::copy(bytes.begin(), bytes.end(), (*from)->mapped());
    REQUIRE((*from)->flush(0, 256));
    REQUIRE(run_commands(device, [&](VkCommandBuffer commands) {
        const VkBufferCopy region{0, 0, 256};
        vkCmdCopyBuffer(commands, (*from)->handle(), (*to)->handle(), 1, &region);
    }));
    REQUIRE((*to)->invalidate(0, 256));
    CHECK(std::equal(bytes.begin(), bytes.end(), (*to)->mapped()));
}

TEST_CASE("a pool is used again after a reset", "[vulkan]") {
    const auto& device = gpu().device;
    const auto pool = CommandPool::create(device);
    REQUIRE(pool);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 10; ++i) {
            const auto commands = (*pool)->begin();
            REQUIRE(commands);
            REQUIRE((*pool)->end(*commands));
            REQUIRE(device->submit({&*commands, 1}));
        }
        REQUIRE(device->wait(device->last_submitted()));
        REQUIRE((*pool)->reset());
    }
}
