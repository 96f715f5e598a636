#include "vulkan/instance.hpp"

#include <cstdlib>
#include <string>

#include "catch.hpp"

using namespace pumice;

namespace {

Capabilities device(std::string name, DeviceType type, std::uint8_t uuid) {
    Capabilities caps;
    caps.name = std::move(name);
    caps.type = type;
    caps.uuid.fill(uuid);
    caps.vendor_id = 0x1000;
    caps.device_id = uuid;
    caps.api_version = VK_API_VERSION_1_3;
    caps.timeline_semaphore = caps.compute_queue = true;
    return caps;
}

using Indices = std::vector<std::size_t>;

/// Sets environment variables of the Vulkan loader and puts the old ones back.
class LoaderEnvironment {
public:
    explicit LoaderEnvironment(const char* driver) {
        for (auto& [name, old] : saved_) {
            if (const char* value = std::getenv(name)) old = value;
            setenv(name, driver, 1);
        }
    }
    ~LoaderEnvironment() {
        for (const auto& [name, old] : saved_) old.empty() ? unsetenv(name) : setenv(name, old.c_str(), 1);
    }

private:
    std::pair<const char*, std::string> saved_[2]{{"VK_DRIVER_FILES", {}}, {"VK_ICD_FILENAMES", {}}};
};

}  // namespace

TEST_CASE("devices are ranked by kind, then by memory, then as found", "[vulkan]") {
    auto small = device("small", DeviceType::discrete, 1), large = device("large", DeviceType::discrete, 2);
    small.heaps = {{std::uint64_t(4) << 30, 0, 0, true}, {std::uint64_t(64) << 30, 0, 0, false}};
    large.heaps = {{std::uint64_t(8) << 30, 0, 0, true}};
    CHECK(rank_devices({device("a", DeviceType::cpu, 3), device("b", DeviceType::integrated, 4), small,
                        device("c", DeviceType::virtual_gpu, 5), large, device("d", DeviceType::cpu, 6)}) ==
          Indices{4, 2, 1, 3, 0, 5});
    CHECK(rank_devices({}).empty());
}

TEST_CASE("a device that cannot be used stands behind all that can", "[vulkan]") {
    auto old = device("old", DeviceType::discrete, 1);
    old.api_version = VK_API_VERSION_1_1;
    CHECK(rank_devices({old, device("software", DeviceType::cpu, 2)}) == Indices{1, 0});
}

TEST_CASE("one device through two drivers is listed once", "[vulkan]") {
    SECTION("same UUID: the newer Vulkan version stays") {
        auto older = device("gpu (A)", DeviceType::discrete, 1), newer = device("gpu (B)", DeviceType::discrete, 1);
        newer.api_version = VK_API_VERSION_1_3 + 1;
        CHECK(rank_devices({older, newer}) == Indices{1});
        CHECK(rank_devices({newer, older}) == Indices{0});
    }
    SECTION("same version: the first stays") {
        CHECK(rank_devices({device("a", DeviceType::discrete, 1), device("b", DeviceType::discrete, 1)}) == Indices{0});
    }
    SECTION("other UUID, same vendor, device and PCI address") {
        auto a = device("a", DeviceType::discrete, 1), b = device("b", DeviceType::discrete, 2);
        b.device_id = a.device_id;
        a.pci = b.pci = PciAddress{0, 1, 0, 0};
        CHECK(rank_devices({a, b}) == Indices{0});
        b.pci->bus = 2;  // two cards of one kind
        CHECK(rank_devices({a, b}) == Indices{0, 1});
        b.pci.reset();
        CHECK(rank_devices({a, b}) == Indices{0, 1});
        a.pci.reset();  // both unknown says nothing
        CHECK(rank_devices({a, b}) == Indices{0, 1});
    }
    SECTION("an unknown UUID is no identity") {
        CHECK(rank_devices({device("a", DeviceType::cpu, 0), device("b", DeviceType::cpu, 0)}) == Indices{0, 1});
    }
    SECTION("a driver that can be used is preferred to a newer one that cannot") {
        auto broken = device("a", DeviceType::discrete, 1);
        broken.api_version = VK_API_VERSION_1_3 + 5;
        broken.timeline_semaphore = false;
        CHECK(rank_devices({broken, device("b", DeviceType::discrete, 1)}) == Indices{1});
    }
}

TEST_CASE("a device is chosen by index, UUID or name", "[vulkan]") {
    std::vector<Capabilities> list{device("Radeon RX 6700", DeviceType::discrete, 0xab),
                                   device("GeForce RTX 3090", DeviceType::discrete, 0x12),
                                   device("llvmpipe (LLVM 15.0.6, 256 bits)", DeviceType::cpu, 0xcd)};
    list[1].uuid[15] = 0x34;
    const auto chosen = [&](const char* wanted) {
        const auto result = choose_device(list, wanted);
        return result ? static_cast<int>(*result) : -1;
    };
    CHECK(chosen("") == 0);
    CHECK(chosen("1") == 1);
    CHECK(chosen("02") == 2);
    CHECK(chosen("3") == -1);  // not the RTX 3090
    CHECK(chosen("3090") == 1);
    CHECK(chosen("LLVMpipe") == 2);
    CHECK(chosen("geforce") == 1);
    CHECK(chosen("abababab") == 0);
    CHECK(chosen("12121212-1212-1212-1212-121212121234") == 1);
    CHECK(chosen("12121212-1212-1212-1212-121212121235") == -1);
    CHECK(chosen("CDCDCDCDCDCD") == 2);
    CHECK(chosen("nothing") == -1);
    CHECK(chosen("r") == -1);  // two names hold it
}

TEST_CASE("a choice that fails says what there is", "[vulkan]") {
    const std::vector<Capabilities> list{device("Radeon", DeviceType::discrete, 0xab),
                                         device("GeForce", DeviceType::discrete, 0x12)};
    const auto none = choose_device(list, "arc");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::no_device);
    CHECK(none.error().message.find("no Vulkan device matches \"arc\"") == 0);
    CHECK(none.error().message.find("0 \"Radeon\" (discrete, abababab-") != std::string::npos);
    const auto both = choose_device(list, "r");
    REQUIRE_FALSE(both);
    CHECK(both.error().message.find("more than one") == 0);
    const auto empty = choose_device({}, "");
    REQUIRE_FALSE(empty);
    CHECK(empty.error().code == Code::no_device);
    CHECK(empty.error().message.find("mesa-vulkan-drivers") != std::string::npos);
}

TEST_CASE("no driver is an error of its own", "[vulkan]") {
    const LoaderEnvironment environment("/nonexistent/icd.json");
    const auto instance = Instance::create();
    REQUIRE_FALSE(instance);
    CHECK(instance.error().code == Code::no_driver);
    CHECK(instance.error().message.find("install") != std::string::npos);
}

TEST_CASE("asking for a validation layer that is not there is an error", "[vulkan]") {
    setenv("VK_LAYER_PATH", "/nonexistent", 1);
    InstanceOptions options;
    options.validation = true;
    const bool available = Instance::validation_available();
    const auto instance = Instance::create(options);
    unsetenv("VK_LAYER_PATH");
    CHECK_FALSE(available);
    REQUIRE_FALSE(instance);
    CHECK(instance.error().code == Code::not_found);
    CHECK(instance.error().message.find("vulkan-validationlayers") != std::string::npos);
}
