// What happens when the driver says no, at every place where it can: one clear error, and the engine works on.
#include <unistd.h>

#include <fstream>

#include "device_fixture.hpp"
#include "ops/operator_run.hpp"
#include "pipelines/small_picture.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

/// Enough for all, and so little that blocks are small: there are many allocations.
constexpr std::uint64_t kLimit = 8 << 20;

struct Bench {
    std::shared_ptr<Device> device = fresh_device();
    std::shared_ptr<KernelCache> kernels = std::make_shared<KernelCache>(device);

    /// With a model opened anew, so that every picture asks for the same memory.
    Result<std::vector<std::uint8_t>> picture() {
        PUMICE_ASSIGN(const auto model, Model::load(device, kernels, PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors",
                                                    {.precision = Precision::fp32, .memory_limit = kLimit}));
        PUMICE_ASSIGN(const auto made, text_to_image(*model, small_request()));
        return made.images[0].rgb;
    }
    MemoryStatistics memory() const { return device->allocator().statistics(); }
};

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

bool is_one_line(const std::string& text) { return !text.empty() && text.find('\n') == std::string::npos; }

/// The same model again and again: memory on the device is the same after each picture, and on the host once all that is
/// kept has been made.
void check_flat(int pictures) {
    // The validation layer keeps something of every picture.
    const auto instance = need(Instance::create({}));
    DeviceOptions options;
    options.wanted = std::to_string(gpu().device->caps().index);
    const auto unwatched = need(Device::create(instance, options));
    Bench bench{unwatched, std::make_shared<KernelCache>(unwatched)};
    const auto model =
        need(Model::load(bench.device, bench.kernels, PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors",
                         {.precision = Precision::fp32}));
    const int warm = pictures / 5;
    std::uint64_t host = 0;
    MemoryStatistics device;
    for (int i = 0; i < pictures; ++i) {
        REQUIRE(text_to_image(*model, small_request()));
        if (i == warm) {
            host = resident_bytes();
            device = bench.memory();
        }
        if (i <= warm) continue;
        CHECK(bench.memory().device_in_use == device.device_in_use);
        CHECK(bench.memory().host_in_use == device.host_in_use);
    }
    // A leak of a picture's latents alone would be 64 KiB a picture.
    CHECK(resident_bytes() < host + static_cast<std::uint64_t>(pictures) * (std::uint64_t(16) << 10) + (4 << 20));
}

}  // namespace

TEST_CASE("the driver refuses memory at any one allocation, or from any one on") {
    Bench bench;
    const auto expected = need(bench.picture());
    std::size_t count = 0;
    bench.device->allocator().set_fault([&](std::uint64_t) { return ++count, false; });
    CHECK((need(bench.picture()) == expected));
    const std::size_t all = count;
    CHECK(all > 7);
    const std::uint64_t in_use = bench.memory().device_in_use;
    for (std::size_t n = 1; n <= all; ++n) {
        INFO("allocation " << n << " of " << all);
        count = 0;
        bench.device->allocator().set_fault([&](std::uint64_t) { return ++count >= n; });
        const auto none = bench.picture();
        REQUIRE_FALSE(none);
        CHECK((none.error().code == Code::out_of_device_memory || none.error().code == Code::out_of_host_memory));
        CHECK(is_one_line(none.error().message));
        CHECK(none.error().message.find("for") != std::string::npos);  // what it was for
        count = 0;
        bench.device->allocator().set_fault([&](std::uint64_t) { return ++count == n; });
        // Another kind of memory, or a smaller block, may do.
        if (const auto perhaps = bench.picture()) CHECK((*perhaps == expected));
        else CHECK(is_one_line(perhaps.error().message));
        bench.device->allocator().set_fault({});
        CHECK(bench.memory().device_in_use <= in_use);
    }
    CHECK((need(bench.picture()) == expected));
}

TEST_CASE("the device is lost at any submission") {
    Bench bench;
    const auto expected = need(bench.picture());
    std::size_t count = 0;
    bench.device->set_fault([&] { return ++count, false; });
    CHECK((need(bench.picture()) == expected));
    const std::size_t all = count;
    CHECK(all > 5);
    for (std::size_t n = 1; n <= 2 * all; ++n) {
        INFO("submission " << n << " of " << all);
        count = 0;
        bench.device->set_fault([&] { return ++count == n; });
        const auto none = bench.picture();
        if (count < n) {  // work is cut by how long it takes: this time into fewer pieces
            CHECK((need(none) == expected));
            bench.device->set_fault({});
            break;
        }
        REQUIRE_FALSE(none);
        CHECK(none.error().code == Code::device_lost);
        CHECK(is_one_line(none.error().message));
        CHECK(bench.device->lost());
        // What comes after fails at once, and the same way.
        const auto after = bench.picture();
        REQUIRE_FALSE(after);
        CHECK(after.error().code == Code::device_lost);
        bench.device->set_fault({});
    }
    CHECK((need(bench.picture()) == expected));
}

TEST_CASE("memory is flat over many pictures") { check_flat(20); }
TEST_CASE("memory is flat over very many pictures", "[.slow]") { check_flat(200); }
