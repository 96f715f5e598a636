#include "weights/upload.hpp"

#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <random>

#include <fmt/format.h>

#include "base/half.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"
#include "models/configs.hpp"
#include "vulkan/command.hpp"
#include "weights/file_builder.hpp"
#include "weights/gguf_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::TemporaryFolder;

namespace {

std::shared_ptr<KernelCache> shared_kernels() {
    return {std::shared_ptr<void>(), &test::gpu().kernels};  // the fixture owns it
}

template <class T>
T value_of(Result<T> result) {
    if (!result) FAIL(result.error().message);
    return *std::move(result);
}

void check(const Status& status) {
    if (!status) FAIL(status.error().message);
}

std::vector<std::byte> bytes_of(const Weight& w) {
    std::vector<std::byte> bytes(w.range.size);
    check(read_range(test::gpu().device, w.range, bytes));
    return bytes;
}

/// Bits of any element, all of them different from zero and from their neighbours.
std::string pattern(std::uint64_t elements, std::size_t size, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::string data(elements * size, '\0');
    for (std::uint64_t i = 0; i < elements; ++i) {
        const auto bits = static_cast<std::uint32_t>(random() | 1);
        std::memcpy(&data[i * size], &bits, size);
    }
    return data;
}

struct Case {
    std::string name;
    const char* dtype;
    std::vector<std::uint64_t> shape;
    WeightUse use;
};

std::uint64_t product(const std::vector<std::uint64_t>& shape) {
    std::uint64_t n = 1;
    for (const std::uint64_t s : shape) n *= s;
    return n;
}

/// The layout of graph/weight.hpp, written out element by element; `size` bytes an element.
std::vector<std::byte> packed_reference(const Weight& w, const std::string& data, std::size_t size) {
    std::vector<std::byte> out(std::uint64_t(w.taps()) * w.k_padded() * w.n_padded() * size);
    for (std::uint32_t n = 0; n < w.n; ++n)
        for (std::uint32_t k = 0; k < w.k; ++k)
            for (std::uint32_t tap = 0; tap < w.taps(); ++tap) {
                std::uint64_t column = n;
                if (w.geglu) {
                    const std::uint32_t half = w.n / 2, r = n % half;
                    column = r / 2 * 4 + (n >= half ? 2 : 0) + r % 2;
                }
                const std::uint64_t at =
                    ((std::uint64_t(tap) * (w.k_padded() / 4) + k / 4) * w.n_padded() + column) * 4 + k % 4;
                const std::uint64_t from = (std::uint64_t(n) * w.k + k) * w.taps() + tap;
                std::memcpy(out.data() + at * size, data.data() + from * size, size);
            }
    return out;
}

std::vector<Case> packed_cases() {
    std::vector<Case> cases;
    for (const char* dtype : {"F16", "BF16", "F32"})
        for (const auto& [shape, use] :
             std::vector<std::pair<std::vector<std::uint64_t>, WeightUse>>{{{320, 768}, WeightUse::linear},
                                                                           {{5, 7}, WeightUse::linear},
                                                                           {{1, 1}, WeightUse::linear},
                                                                           {{33, 130}, WeightUse::linear},
                                                                           {{64, 32, 1, 1}, WeightUse::linear},
                                                                           {{64, 32}, WeightUse::conv},
                                                                           {{32, 4, 3, 3}, WeightUse::conv},
                                                                           {{3, 33, 3, 3}, WeightUse::conv},
                                                                           {{8, 3, 3, 3}, WeightUse::conv},
                                                                           {{6, 5, 2, 4}, WeightUse::conv},
                                                                           {{128, 32}, WeightUse::geglu},
                                                                           {{40, 18}, WeightUse::geglu}})
            cases.push_back({fmt::format("{}.{}.{}", dtype, int(use), shape_string(shape)), dtype, shape, use});
    return cases;
}

/// A value of /proc/self/status in bytes.
std::uint64_t process_memory(const std::string& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind(key + ":", 0) == 0) return std::stoull(line.substr(key.size() + 1)) * 1024;
    FAIL("no " + key);
    return 0;
}

}  // namespace

TEST_CASE("weights are packed as the kernels read them", "[weights]") {
    const TemporaryFolder folder;
    FileBuilder builder;
    // An odd byte first: the tensors after it start at odd addresses, as the format allows.
    builder.add("odd", "U8", {1}, std::string("x"));
    std::map<std::string, std::string> data;
    for (const Case& c : packed_cases()) {
        const std::size_t size = c.dtype == std::string("F32") ? 4 : 2;
        data[c.name] = pattern(product(c.shape), size, static_cast<std::uint32_t>(data.size()));
        builder.add(c.name, c.dtype, c.shape, data[c.name]);
    }
    test::write_file(folder / "w", builder.build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));

    // One slot for all; slots that each tensor fills several times; and some in between.
    for (const std::uint64_t slot : {std::uint64_t(16) << 20, std::uint64_t(4096), std::uint64_t(100'000)}) {
        WeightStore store(test::gpu().device, shared_kernels(), {.slot_bytes = slot});
        std::vector<Weight> weights;
        std::uint64_t sum = 0;
        for (const Case& c : packed_cases()) {
            weights.push_back(value_of(store.load(file, c.name, c.use)));
            sum += device_bytes(weights.back());
        }
        check(store.flush());
        CHECK(store.bytes_on_device() == sum);
        for (const Weight& w : weights) {
            INFO(w.name << ", slots of " << slot);
            CHECK(w.layout == WeightLayout::packed);
            CHECK(w.range.offset % test::gpu().device->caps().storage_offset_alignment == 0);
            const bool same = bytes_of(w) == packed_reference(w, data[w.name], size_of(w.dtype));
            CHECK(same);
        }
    }
}

TEST_CASE("vectors become f32, padded and interleaved where their weight is", "[weights]") {
    const std::vector<float> values{1.5f, -2.0f, 0.25f, 3.0f, -0.5f, 7.0f, 8.0f, 9.5f};
    std::vector<std::uint16_t> f16, bf16;
    std::vector<double> f64;
    for (const float v : values) {
        f16.push_back(f32_to_f16(v));
        bf16.push_back(f32_to_bf16(v));
        f64.push_back(v);
    }
    const TemporaryFolder folder;
    const std::vector<std::uint64_t> shape{8};
    const std::vector<float> five(values.begin(), values.begin() + 5);
    test::write_file(folder / "w", FileBuilder()
                                       .add("odd", "U8", {1}, std::string("x"))
                                       .add("F16", "F16", shape, f16)
                                       .add("BF16", "BF16", shape, bf16)
                                       .add("F32", "F32", shape, values)
                                       .add("F64", "F64", shape, f64)
                                       .add("five", "F32", {5}, five)
                                       .build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(test::gpu().device, shared_kernels());
    const auto floats = [&](const char* name, WeightUse use) {
        const Weight w = value_of(store.load(file, name, use));
        CHECK(w.dtype == DType::f32);
        CHECK(w.layout == WeightLayout::vector);
        check(store.flush());
        const auto bytes = bytes_of(w);
        std::vector<float> out(bytes.size() / 4);
        std::memcpy(out.data(), bytes.data(), bytes.size());
        return out;
    };
    for (const char* name : {"F16", "BF16", "F32", "F64"}) {
        INFO(name);
        CHECK(floats(name, WeightUse::vector) == values);
        CHECK(floats(name, WeightUse::geglu_vector) ==
              std::vector<float>{1.5f, -2.0f, -0.5f, 7.0f, 0.25f, 3.0f, 8.0f, 9.5f});
    }
    CHECK(floats("five", WeightUse::vector) == std::vector<float>{1.5f, -2.0f, 0.25f, 3.0f, -0.5f, 0, 0, 0});
}

TEST_CASE("tables keep their rows, and double precision becomes single", "[weights]") {
    const TemporaryFolder folder;
    const std::string table = pattern(1000 * 12, 2, 1);
    const std::vector<double> f64{1, 0.5, -3, 1e-3, 2, 4, 8, 16};
    test::write_file(folder / "w",
                     FileBuilder().add("table", "F16", {1000, 12}, table).add("f64", "F64", {2, 4}, f64).build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(test::gpu().device, shared_kernels(), {.slot_bytes = 4096});
    const Weight w = value_of(store.load(file, "table", WeightUse::table));
    const Weight d = value_of(store.load(file, "f64", WeightUse::linear));
    check(store.flush());
    CHECK(w.layout == WeightLayout::rows);
    CHECK(w.dtype == DType::f16);
    const bool same = std::memcmp(bytes_of(w).data(), table.data(), table.size()) == 0;
    CHECK(same);
    CHECK(w.range.size == table.size());
    CHECK(d.dtype == DType::f32);
    std::string f32(32, '\0');
    for (std::size_t i = 0; i < f64.size(); ++i) {
        const auto value = static_cast<float>(f64[i]);
        std::memcpy(&f32[4 * i], &value, 4);
    }
    const bool packed = bytes_of(d) == packed_reference(d, f32, 4);
    CHECK(packed);
}

TEST_CASE("matrices of blocks stay as they are, tables of them become halves", "[weights]") {
    const TemporaryFolder folder;
    std::string blocks = pattern(24 * 3 * 34, 1, 5);  // 24 rows of 96 elements in Q8_0: a half, 32 signed bytes
    for (std::size_t block = 0; block < blocks.size(); block += 34) std::memcpy(&blocks[block], "\x00\x14", 2);
    test::GgufBuilder builder;
    builder.add("matrix", 8, {24, 96}, blocks).add("table", 8, {24, 96}, blocks);
    test::write_file(folder / "w", builder.build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(test::gpu().device, shared_kernels(), {.slot_bytes = 1000});
    const Weight matrix = value_of(store.load(file, "matrix", WeightUse::geglu));
    const Weight table = value_of(store.load(file, "table", WeightUse::table));
    check(store.flush());
    CHECK(matrix.blocks == Blocks::q8_0);
    CHECK(matrix.geglu);
    CHECK(matrix.range.size == blocks.size());
    const bool same = std::memcmp(bytes_of(matrix).data(), blocks.data(), blocks.size()) == 0;
    CHECK(same);

    CHECK(table.blocks == Blocks::none);
    CHECK(table.dtype == DType::f16);
    const auto halves = bytes_of(table);
    REQUIRE(halves.size() == 24 * 96 * 2);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < 24 * 96; ++i) {
        std::uint16_t half = 0;
        std::memcpy(&half, &halves[2 * i], 2);
        const auto stored = static_cast<std::int8_t>(blocks[i / 32 * 34 + 2 + i % 32]);
        wrong += f16_to_f32(half) != 0x1p-10f * static_cast<float>(stored);  // 0x1400 is 2^-10
    }
    CHECK(wrong == 0);
}

TEST_CASE("a table beyond the device's binding limit is uploaded whole", "[weights]") {
    // CLIP's token table in f32: 49408 rows of 768, 145 MiB.
    const TemporaryFolder folder;
    const std::uint64_t rows = 49408, width = 768;
    std::string header = fmt::format(R"({{"t":{{"dtype":"F32","shape":[{},{}],"data_offsets":[0,{}]}}}})", rows, width,
                                     rows * width * 4);
    test::write_file(folder / "w", test::raw_file(header, ""));
    std::filesystem::resize_file(folder / "w", 8 + header.size() + rows * width * 4);
    {
        std::fstream f(folder / "w", std::ios::in | std::ios::out | std::ios::binary);
        for (const std::uint64_t row : {std::uint64_t(0), std::uint64_t(30'000), rows - 1}) {
            f.seekp(static_cast<std::streamoff>(8 + header.size() + row * width * 4));
            f.write(pattern(width, 4, static_cast<std::uint32_t>(row)).data(), width * 4);
        }
    }
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(test::gpu().device, shared_kernels());
    const Weight w = value_of(store.load(file, "t", WeightUse::table));
    check(store.flush());
    REQUIRE(w.range.size == rows * width * 4);
    for (const std::uint64_t row : {std::uint64_t(0), std::uint64_t(1), std::uint64_t(30'000), rows - 1}) {
        std::vector<std::byte> bytes(width * 4);
        check(read_range(test::gpu().device, {w.range.buffer, w.range.offset + row * width * 4, width * 4}, bytes));
        const std::string expected =
            row == 1 ? std::string(width * 4, '\0') : pattern(width, 4, static_cast<std::uint32_t>(row));
        const bool same = std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0;
        INFO("row " << row);
        CHECK(same);
    }
}

TEST_CASE("what cannot be a weight is named", "[weights]") {
    const TemporaryFolder folder;
    test::write_file(folder / "w", FileBuilder()
                                       .add("ids", "I64", {1, 4}, std::string(32, 'x'))
                                       .add("e8m0", "F8_E8M0", {4, 4}, std::string(16, 'x'))
                                       .add("matrix", "F16", {4, 6}, std::string(48, 'x'))
                                       .add("vector", "F16", {12}, std::string(24, 'x'))
                                       .add("kernel", "F16", {4, 4, 3, 3}, std::string(288, 'x'))
                                       .add("cube", "F16", {2, 2, 2}, std::string(16, 'x'))
                                       .add("none", "F16", {0, 4}, std::string())
                                       .build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(test::gpu().device, shared_kernels());
    const auto refused = [&](const char* name, WeightUse use, Code code, const std::string& part) {
        const auto weight = store.load(file, name, use);
        REQUIRE_FALSE(weight);
        CHECK(weight.error().code == code);
        INFO(weight.error().message);
        CHECK(weight.error().message.find(fmt::format("{}: tensor '{}'", (folder / "w").string(), name)) == 0);
        CHECK(weight.error().message.find(part) != std::string::npos);
    };
    refused("absent", WeightUse::linear, Code::bad_format, "is missing");
    refused("ids", WeightUse::linear, Code::unsupported, "elements of type I64");
    refused("e8m0", WeightUse::linear, Code::unsupported, "elements of type F8_E8M0");
    refused("vector", WeightUse::linear, Code::bad_format, "has shape [12], but [n, k]");
    refused("matrix", WeightUse::vector, Code::bad_format, "has shape [4, 6], but [n] is needed");
    refused("matrix", WeightUse::geglu, Code::bad_format, "multiple of 8");
    refused("vector", WeightUse::geglu_vector, Code::bad_format, "multiple of 8");
    refused("kernel", WeightUse::linear, Code::bad_format, "has shape [4, 4, 3, 3], but [n, k] is needed");
    refused("cube", WeightUse::conv, Code::bad_format, "has shape [2, 2, 2]");
    refused("none", WeightUse::linear, Code::bad_format, "has shape [0, 4]");
    refused("kernel", WeightUse::table, Code::bad_format, "has shape [4, 4, 3, 3]");
    check(store.flush());
    CHECK(store.bytes_on_device() == 0);
    // The store goes on after an error.
    value_of(store.load(file, "matrix", WeightUse::linear));
    check(store.flush());
}

TEST_CASE("weights hold their memory, and nothing else does", "[weights]") {
    const auto device = test::fresh_device();
    const auto kernels = std::make_shared<KernelCache>(device);
    const TemporaryFolder folder;
    FileBuilder builder;
    for (int i = 0; i < 20; ++i) builder.add(fmt::format("t{}", i), "F16", {256, 1024}, pattern(256 * 1024, 2, 1));
    test::write_file(folder / "w", builder.build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    const auto before = device->allocator().statistics();
    std::vector<Weight> weights;
    {
        WeightStore store(device, kernels);
        for (int i = 0; i < 20; ++i)
            weights.push_back(value_of(store.load(file, fmt::format("t{}", i), WeightUse::linear)));
        CHECK(device->allocator().statistics().host_in_use > before.host_in_use);
        check(store.flush());
        CHECK(store.bytes_on_device() == 20 * 512 * 1024);
        CHECK(device->allocator().statistics().host_in_use == before.host_in_use);
    }
    std::vector<std::weak_ptr<Buffer>> buffers;
    for (const Weight& w : weights) {
        REQUIRE(w.range.buffer);
        CHECK(w.range.buffer->size() <= std::uint64_t(16) << 20);
        buffers.push_back(w.range.buffer);
    }
    weights.clear();
    for (const auto& buffer : buffers) CHECK(buffer.expired());
}

TEST_CASE("a device that is full says so", "[weights]") {
    const auto device = test::fresh_device();
    device->allocator().set_limit(std::uint64_t(8) << 20);
    const TemporaryFolder folder;
    FileBuilder builder;
    for (int i = 0; i < 4; ++i) builder.add(fmt::format("t{}", i), "F32", {1024, 1024}, pattern(1024 * 1024, 4, 1));
    test::write_file(folder / "w", builder.build());
    const WeightFile file = value_of(WeightFile::open(folder / "w"));
    WeightStore store(device, std::make_shared<KernelCache>(device));
    std::vector<Weight> weights;
    Code code = Code::internal;
    for (int i = 0; i < 4; ++i) {
        auto weight = store.load(file, fmt::format("t{}", i), WeightUse::linear);
        if (weight)
            weights.push_back(*std::move(weight));
        else
            code = weight.error().code;
    }
    CHECK(code == Code::out_of_device_memory);
    CHECK(weights.size() < 4);
    check(store.flush());
}

namespace {

/// Uploads every tensor of a file of the given size and checks that the host needed little memory for it.
void check_host_memory(std::uint64_t megabytes, std::uint64_t allowed) {
    const TemporaryFolder folder;
    const std::uint64_t count = megabytes / 8;  // of 8 MiB each
    std::string header = "{";
    for (std::uint64_t i = 0; i < count; ++i)
        header += fmt::format(R"({}"t{}":{{"dtype":"F16","shape":[2048,2048],"data_offsets":[{},{}]}})", i ? "," : "",
                              i, i << 23, (i + 1) << 23);
    header += "}";
    const auto path = folder / "w";
    test::write_file(path, test::raw_file(header, ""));
    {
        std::ofstream f(path, std::ios::app | std::ios::binary);
        const std::string data = pattern(std::uint64_t(1) << 22, 2, 3);
        for (std::uint64_t i = 0; i < count; ++i) f.write(data.data(), static_cast<std::streamsize>(data.size()));
    }
    const auto device = test::fresh_device();
    const auto kernels = std::make_shared<KernelCache>(device);
    const WeightFile file = value_of(WeightFile::open(path));
    std::vector<Weight> weights;
    WeightStore store(device, kernels);
    // Twice, so that what the first upload leaves (pipelines, pools) is there before the count begins.
    value_of(store.load(file, "t0", WeightUse::linear));
    check(store.flush());

    const std::uint64_t before = process_memory("VmRSS"), loaded = store.bytes_on_device();
    device->allocator().reset_peaks();
    std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM starts again
    for (std::uint64_t i = 0; i < count; ++i)
        weights.push_back(value_of(store.load(file, fmt::format("t{}", i), WeightUse::linear)));
    check(store.flush());
    const std::uint64_t peak = process_memory("VmHWM");
    const std::uint64_t on_device = store.bytes_on_device() - loaded;
    CHECK(on_device == megabytes << 20);
    CHECK(device->allocator().statistics().host_peak <= std::uint64_t(32) << 20);
    // A software device's memory is the process's own. The peak has the file's mapped pages in it.
    const std::uint64_t counted = device->caps().type == DeviceType::cpu ? on_device : 0;
    INFO("peak " << (peak >> 20) << " MiB, before " << (before >> 20) << ", of the device " << (counted >> 20));
    CHECK(static_cast<double>(peak) - static_cast<double>(before) - static_cast<double>(counted) <
          static_cast<double>(allowed));
}

}  // namespace

TEST_CASE("loading takes little host memory", "[weights]") {
    check_host_memory(256, std::uint64_t(80) << 20);
}

// Not in the suite for its time and disk; run by its tag.
TEST_CASE("loading 2 GiB takes under 300 MiB of host memory", "[.large]") {
    check_host_memory(1984, std::uint64_t(300) << 20);
}
