#include "vulkan/pipeline.hpp"

#include <fstream>
#include <iterator>
#include <numeric>

#include "affine.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"
#include "temporary_folder.hpp"
#include "vulkan/pipeline_cache.hpp"

using namespace pumice;
using test::Affine;
using test::fresh_device;
using test::gpu;
using test::TemporaryFolder;

namespace {

/// Runs y = 5 x + 9 on the device and compares.
void check_affine(const std::shared_ptr<Device>& device, std::uint32_t subgroup = 0) {
    constexpr std::uint32_t kCount = 1001;
    const auto x = device->allocator().create(kCount * 4, Intent::device, "x");
    const auto y = device->allocator().create(kCount * 4, Intent::device, "y");
    REQUIRE(x);
    REQUIRE(y);
    std::vector<std::uint32_t> in(kCount), out(kCount);
    std::iota(in.begin(), in.end(), 4'000'000'000u);
    REQUIRE(write_range(device, {*x, 0, kCount * 4}, std::as_bytes(std::span(in))));
    auto affine = Affine::create(device, 5, subgroup);
    if (!affine) FAIL(affine.error().message);
    (*affine)->bind(**x, **y);
    REQUIRE(run_commands(device, [&](VkCommandBuffer commands) { (*affine)->record(commands, {kCount, 9}); }));
    REQUIRE(read_range(device, {*y, 0, kCount * 4}, std::as_writable_bytes(std::span(out))));
    for (std::uint32_t i = 0; i < kCount; ++i) REQUIRE(out[i] == in[i] * 5 + 9);
}

std::vector<std::byte> content(const std::filesystem::path& path) {
    const auto file = read_cache_file(path);
    REQUIRE(file);
    REQUIRE(file->has_value());
    return **file;
}

void overwrite(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    REQUIRE(out.flush());
}

struct LoggedDevice {
    std::vector<std::string> lines;
    std::shared_ptr<Device> device;
    explicit LoggedDevice(const std::filesystem::path& cache_folder) {
        DeviceOptions options;
        options.cache_folder = cache_folder;
        options.log = Log::to([this](LogLevel, std::string_view line) { lines.emplace_back(line); });
        device = fresh_device(options);
    }
};

}  // namespace

TEST_CASE("a pipeline takes specialization and push constants", "[vulkan]") {
    check_affine(gpu().device);
}

TEST_CASE("a pipeline runs with every subgroup size the device offers", "[vulkan]") {
    const Capabilities& caps = gpu().device->caps();
    if (!caps.subgroup_size_control) {
        WARN("the device does not let subgroup sizes be chosen");
        return;
    }
    for (std::uint32_t size = caps.min_subgroup_size; size <= caps.max_subgroup_size; size *= 2)
        check_affine(gpu().device, size);
}

TEST_CASE("a kernel beyond a limit is refused by name", "[vulkan]") {
    const auto& device = gpu().device;
    const auto refused = [&](PipelineRequest request) {
        request.spirv = test::affine_spirv();
        request.name = "greedy";
        const auto made = create_pipeline(*device, request);
        REQUIRE_FALSE(made);
        CHECK(made.error().message.find("greedy") != std::string::npos);
        return made.error().code;
    };
    PipelineRequest bindings, push, words, subgroup;
    bindings.bindings = device->caps().max_storage_buffers + 1;
    if (bindings.bindings != 0) CHECK(refused(bindings) == Code::missing_feature);
    push.push_bytes = device->caps().max_push_constants + 4;
    CHECK(refused(push) == Code::missing_feature);
    words.push_bytes = 6;
    CHECK(refused(words) == Code::internal);
    subgroup.required_subgroup_size = device->caps().max_subgroup_size * 2;
    CHECK(refused(subgroup) == Code::missing_feature);
}

TEST_CASE("the pipeline cache is kept and found again", "[vulkan]") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "cache" / pipeline_cache_name(gpu().device->caps());
    {
        LoggedDevice first(folder.path() / "cache");
        check_affine(first.device);
        REQUIRE(first.device->save_pipeline_cache());
        CHECK(std::filesystem::exists(path));
        first.device.reset();
        CHECK(first.lines.empty());
    }
    CHECK(decode_pipeline_cache(gpu().device->caps(), content(path)));
    LoggedDevice second(folder.path() / "cache");
    check_affine(second.device);
    second.device.reset();
    CHECK(second.lines.empty());
}

TEST_CASE("a cache file that does not fit is ignored, told about and replaced", "[vulkan]") {
    const TemporaryFolder folder;
    const Capabilities& caps = gpu().device->caps();
    const auto path = folder.path() / pipeline_cache_name(caps);
    {
        LoggedDevice device(folder.path());
        check_affine(device.device);
    }
    const auto good = content(path);
    auto bad = good;
    SECTION("damaged") {
        bad.back() ^= std::byte{1};
    }
    SECTION("truncated") {
        bad.resize(bad.size() / 2);
    }
    SECTION("empty") {
        bad.clear();
    }
    SECTION("of another driver") {
        Capabilities other = caps;
        other.driver_version += 1;
        bad = encode_pipeline_cache(other, std::span(good).subspan(72));
    }
    SECTION("another kind of file") {
        bad.assign(5000, std::byte{'x'});
    }
    overwrite(path, bad);
    LoggedDevice device(folder.path());
    REQUIRE(device.lines.size() == 1);
    CHECK(device.lines[0].find("is not used") != std::string::npos);
    CHECK(device.lines[0].find(path.string()) != std::string::npos);
    check_affine(device.device);
    device.device.reset();
    CHECK(device.lines.size() == 1);
    CHECK(decode_pipeline_cache(caps, content(path)));
}

TEST_CASE("a cache folder that cannot be written costs a line in the log, no more", "[vulkan]") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "file";
    std::ofstream(file) << "in the way";
    LoggedDevice device(file / "cache");
    check_affine(device.device);
    device.device.reset();
    REQUIRE_FALSE(device.lines.empty());
    CHECK(device.lines.back().find("was not kept") != std::string::npos);
}
