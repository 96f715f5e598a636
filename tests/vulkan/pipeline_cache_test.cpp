#include "vulkan/pipeline_cache.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "catch.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using test::TemporaryFolder;

namespace {

Capabilities some_device() {
    Capabilities caps;
    caps.uuid.fill(0x5a);
    caps.pipeline_cache_uuid.fill(0xc3);
    caps.vendor_id = 0x1002;
    caps.device_id = 0x73df;
    caps.driver_version = 0x00c0ffee;
    return caps;
}

/// What a driver would give for `caps`: the header that Vulkan prescribes and some bytes.
std::vector<std::byte> driver_data(const Capabilities& caps, std::size_t extra = 100) {
    VkPipelineCacheHeaderVersionOne header{};
    header.headerSize = sizeof header;
    header.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE;
    header.vendorID = caps.vendor_id;
    header.deviceID = caps.device_id;
    std::memcpy(header.pipelineCacheUUID, caps.pipeline_cache_uuid.data(), VK_UUID_SIZE);
    std::vector<std::byte> data(sizeof header + extra);
    std::memcpy(data.data(), &header, sizeof header);
    for (std::size_t i = sizeof header; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7);
    return data;
}

std::string reason(const Result<std::vector<std::byte>>& decoded) {
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Code::bad_format);
    return decoded.error().message;
}

}  // namespace

TEST_CASE("the file's name tells device and driver", "[vulkan]") {
    CHECK(pipeline_cache_name(some_device()) == "pipelines-5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a-00c0ffee.bin");
}

TEST_CASE("what is encoded is decoded", "[vulkan]") {
    const Capabilities caps = some_device();
    const auto data = driver_data(caps);
    const auto decoded = decode_pipeline_cache(caps, encode_pipeline_cache(caps, data));
    REQUIRE(decoded);
    CHECK(*decoded == data);
}

TEST_CASE("a cache of another device or driver is not used", "[vulkan]") {
    const Capabilities caps = some_device();
    const auto file = encode_pipeline_cache(caps, driver_data(caps));
    const auto refused = [&](auto change) {
        Capabilities other = caps;
        change(other);
        return reason(decode_pipeline_cache(other, file)) == "it is of another device or driver";
    };
    CHECK(refused([](Capabilities& c) { c.uuid[3] ^= 1; }));
    CHECK(refused([](Capabilities& c) { c.pipeline_cache_uuid[15] ^= 1; }));
    CHECK(refused([](Capabilities& c) { c.driver_version += 1; }));
    CHECK(refused([](Capabilities& c) { c.vendor_id += 1; }));
    CHECK(refused([](Capabilities& c) { c.device_id += 1; }));
}

TEST_CASE("data whose own header is of another driver is not used", "[vulkan]") {
    const Capabilities caps = some_device();
    Capabilities other = caps;
    other.pipeline_cache_uuid[0] ^= 1;
    CHECK(reason(decode_pipeline_cache(caps, encode_pipeline_cache(caps, driver_data(other)))) ==
          "the driver's data is of another driver");
    CHECK(reason(decode_pipeline_cache(caps, encode_pipeline_cache(caps, {}))) == "the driver's data is too short");
}

TEST_CASE("every truncation and every flipped bit is noticed", "[vulkan]") {
    const Capabilities caps = some_device();
    const auto file = encode_pipeline_cache(caps, driver_data(caps));
    for (std::size_t size = 0; size < file.size(); ++size)
        REQUIRE_FALSE(decode_pipeline_cache(caps, std::span(file).first(size)));
    auto longer = file;
    longer.push_back(std::byte{0});
    REQUIRE_FALSE(decode_pipeline_cache(caps, longer));
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        auto damaged = file;
        damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        INFO("byte " << bit / 8);
        REQUIRE_FALSE(decode_pipeline_cache(caps, damaged));
    }
}

TEST_CASE("a cache file is written whole, replaces the old one and leaves nothing beside it", "[vulkan]") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "made" / "on the way" / "cache.bin";
    const std::vector<std::byte> first(1000, std::byte{1}), second(10, std::byte{2});
    auto absent = read_cache_file(path);
    REQUIRE(absent);
    CHECK_FALSE(absent->has_value());
    for (const auto& bytes : {first, second}) {
        REQUIRE(write_cache_file(path, bytes));
        const auto back = read_cache_file(path);
        REQUIRE(back);
        REQUIRE(back->has_value());
        CHECK(**back == bytes);
    }
    CHECK(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);
}

TEST_CASE("a folder that cannot be made or written is an error with the path", "[vulkan]") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "file";
    std::ofstream(file) << "not a folder";
    const auto status = write_cache_file(file / "cache.bin", std::vector<std::byte>(4));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Code::io);
    CHECK(status.error().message.find(file.string()) != std::string::npos);
    const auto taken = folder.path() / "taken";  // rename onto a folder that is not empty
    std::filesystem::create_directories(taken / "x");
    const auto renamed = write_cache_file(taken, std::vector<std::byte>(4));
    REQUIRE_FALSE(renamed);
    CHECK(renamed.error().code == Code::io);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);  // no temporary file left
}

TEST_CASE("a write that ends early keeps the old file", "[vulkan]") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "cache.bin";
    const std::vector<std::byte> old(100, std::byte{7});
    REQUIRE(write_cache_file(path, old));

    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{4096, before.rlim_max};  // as a full disk would, after 4 KiB
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto status = write_cache_file(path, std::vector<std::byte>(100000));
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == Code::io);
    const auto back = read_cache_file(path);
    REQUIRE(back);
    CHECK(back->value() == old);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
