#include "vulkan/memory.hpp"

#include "catch.hpp"

using namespace pumice;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t(1) << 30;
using Types = std::vector<std::uint32_t>;

MemoryType type(std::uint32_t heap, const char* flags) {
    const std::string f = flags;
    const auto has = [&](char c) { return f.find(c) != std::string::npos; };
    return {heap, has('d'), has('v'), has('c'), has('k'), has('x')};  // device, visible, coherent, cached, special
}

/// A discrete card without a resizable window: memory of its own, the host's, and a 256 MiB window.
Capabilities discrete() {
    Capabilities caps;
    caps.heaps = {{8 * kGiB, 0, 0, true}, {16 * kGiB, 0, 0, false}, {kGiB / 4, 0, 0, true}};
    caps.memory_types = {type(1, ""), type(0, "d"), type(1, "vc"), type(1, "vck"), type(2, "dvc"), type(0, "dvcx")};
    return caps;
}

}  // namespace

TEST_CASE("memory types on a discrete card", "[vulkan]") {
    const Capabilities caps = discrete();
    CHECK(memory_types_for(caps, Intent::device) == Types{1, 4, 0, 2, 3});  // never the special one
    CHECK(memory_types_for(caps, Intent::shared) == Types{4, 3, 2});
    CHECK(memory_types_for(caps, Intent::upload) == Types{2, 3, 4});
    CHECK(memory_types_for(caps, Intent::readback) == Types{3, 2, 4});
}

TEST_CASE("memory types where the host sees all device memory", "[vulkan]") {
    Capabilities caps = discrete();
    caps.memory_types[5].special = false;  // a resizable window
    CHECK(memory_types_for(caps, Intent::device).front() == 5);
    caps.heaps = {{2 * kGiB, 0, 0, true}};
    caps.memory_types = {type(0, "dvck")};
    for (const Intent intent : {Intent::device, Intent::shared, Intent::upload, Intent::readback})
        CHECK(memory_types_for(caps, intent) == Types{0});
}

TEST_CASE("memory that is cached but not coherent serves only reading back", "[vulkan]") {
    Capabilities caps;
    caps.heaps = {{2 * kGiB, 0, 0, true}};
    caps.memory_types = {type(0, "d"), type(0, "dvc"), type(0, "dvk")};
    CHECK(memory_types_for(caps, Intent::readback) == Types{2, 1});
    CHECK(memory_types_for(caps, Intent::upload) == Types{1});
    CHECK(memory_types_for(caps, Intent::shared) == Types{1});
    CHECK(memory_types_for(caps, Intent::device).front() == 1);
}
