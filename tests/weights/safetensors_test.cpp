#include "weights/safetensors.hpp"

#include <cstring>

#include "catch.hpp"
#include "file_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::raw_file;

namespace {

Result<SafetensorsHeader> parse(const std::string& file) {
    return parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), "model.safetensors");
}

/// The file is refused with one line that starts with its name and contains `part`.
void check_bad(const std::string& file, const std::string& part) {
    INFO(part);
    const auto header = parse(file);
    REQUIRE_FALSE(header);
    CHECK(header.error().code == Code::bad_format);
    CHECK(header.error().message.find("model.safetensors: ") == 0);
    CHECK(header.error().message.find('\n') == std::string::npos);
    INFO(header.error().message);
    CHECK(header.error().message.find(part) != std::string::npos);
}

std::string one(const std::string& fields) {
    return "{\"t\":{" + fields + "}}";
}

std::string sound() {
    return FileBuilder()
        .metadata(R"({"format":"pt","note":"x"})")
        .add("b", "F32", {2, 3}, std::string(24, '1'))
        .add("a", "F16", {5}, std::string(10, '2'))
        .add("scalar", "I64", {}, std::string(8, '3'))
        .add("none", "F32", {0, 4}, std::string())
        .build();
}

}  // namespace

TEST_CASE("a sound safetensors file", "[weights]") {
    const std::string file = sound();
    const auto header = parse(file);
    REQUIRE(header);
    CHECK(header->metadata.at("format") == "pt");
    CHECK(header->metadata.at("note") == "x");
    REQUIRE(header->tensors.size() == 4);
    CHECK(header->tensors[0].name == "a");
    CHECK(header->tensors[0].dtype == StoredType::f16);
    CHECK(header->tensors[0].data.size() == 10);
    CHECK(header->tensors[0].data[9] == std::byte{'2'});
    CHECK(header->tensors[1].name == "b");
    CHECK(header->tensors[1].shape == std::vector<std::uint64_t>{2, 3});
    CHECK(header->tensors[1].elements() == 6);
    CHECK(header->tensors[2].name == "none");
    CHECK(header->tensors[2].data.empty());
    CHECK(header->tensors[3].shape.empty());
    CHECK(header->tensors[3].elements() == 1);

    CHECK(parse(raw_file("{}", "")));
    CHECK(parse(raw_file("{}      ", "")));  // padded, as some writers do to align the data
}

TEST_CASE("tensors are found by name", "[weights]") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "m.safetensors", sound());
    const auto file = WeightFile::open(folder / "m.safetensors");
    REQUIRE(file);
    REQUIRE(file->find("b"));
    CHECK(file->find("b")->data[0] == std::byte{'1'});
    CHECK(file->find("c") == nullptr);
    CHECK(file->find("") == nullptr);
    CHECK(file->has_prefix("sca"));
    CHECK_FALSE(file->has_prefix("scat"));
    CHECK(file->with_prefix("").size() == 4);
    CHECK(file->with_prefix("n").size() == 1);
    const auto missing = file->tensor("c\nd");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message == (folder / "m.safetensors").string() + ": tensor 'c?d' is missing");
    CHECK_FALSE(WeightFile::open(folder / "absent"));
}

TEST_CASE("every dtype has its size", "[weights]") {
    const std::pair<const char*, std::size_t> types[] = {
        {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"I64", 8},
        {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U64", 8},  {"U32", 4},     {"U16", 2},     {"U8", 1},      {"BOOL", 1}};
    for (const auto& [name, size] : types) {
        const auto header = parse(FileBuilder().add("t", name, {3}, std::string(3 * size, 'x')).build());
        REQUIRE(header);
        CHECK(size_of(header->tensors[0].dtype) == size);
        CHECK(std::strcmp(to_string(header->tensors[0].dtype), name) == 0);
    }
}

TEST_CASE("a safetensors file that is cut anywhere is refused", "[weights]") {
    const std::string file = sound();
    for (std::size_t n = 0; n < file.size(); ++n) {
        const auto header = parse(file.substr(0, n));
        REQUIRE_FALSE(header);
        CHECK(header.error().code == Code::bad_format);
    }
    check_bad(file.substr(0, file.size() - 1), "truncated");
    check_bad(file + "x", "1 bytes after the last tensor");
}

TEST_CASE("headers that lie about their length", "[weights]") {
    check_bad("", "shorter than its header length");
    check_bad("1234567", "shorter than its header length");
    check_bad(std::string(8, '\0'), "does not start with '{'");
    check_bad(std::string(8, '\xff') + "{}", "a header of 18446744073709551615 bytes");
    check_bad(std::string("\x03\0\0\0\0\0\0\0{}", 10), "header of 3 bytes in a file of 10");
    check_bad(std::string("\x00\xe1\xf5\x06\0\0\0\0{}", 10), "not a safetensors file: a header of 116777216 bytes");
    check_bad("<!DOCTYPE html><html>not found</html>", "not a safetensors file");
    check_bad(std::string("PK\x03\x04", 4) + std::string(100, 'z'), "not a safetensors file");
}

TEST_CASE("headers that are not the JSON they should be", "[weights]") {
    check_bad(raw_file("{", ""), "not valid JSON");
    check_bad(raw_file("{}x", ""), "not valid JSON");
    check_bad(raw_file("{\"a\":}", ""), "not valid JSON at its byte 6");
    check_bad(raw_file("{\"a\xff\":{}}", ""), "not valid JSON");
    check_bad(raw_file("[]", ""), "does not start with '{'");
    check_bad(raw_file("{\"a\":1}", ""), "'a' in the header is a number");
    check_bad(raw_file("{\"a\":[]}", ""), "'a' in the header is an array");
    check_bad(raw_file("{\"a\":null}", ""), "'a' in the header is null");
    check_bad(raw_file("{\"a\\nb\":true}", ""), "'a?b' in the header is a boolean");
    check_bad(raw_file("{\"__metadata__\":{\"a\":1}}", ""), "__metadata__ 'a' is a number");
    check_bad(raw_file("{\"__metadata__\":{\"a\":{}}}", ""), "__metadata__ 'a' is an object");
    check_bad(raw_file("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", ""), "key 'a' twice");
    check_bad(raw_file("{\"__metadata__\":{},\"__metadata__\":{}}", ""), "__metadata__ occurs twice");
    check_bad(raw_file("{\"a\":" + std::string(100'000, '['), ""), "'a' in the header is an array");
    check_bad(raw_file("{\"a\":{\"b\":" + std::string(100'000, '{'), ""), "tensor 'a': b has an object");
    check_bad(raw_file("{\"" + std::string(100'000, 'n') + "\":1}", ""), "nnn...nnn");
}

TEST_CASE("tensor entries that are wrong", "[weights]") {
    const std::string data(8, 'd');
    const auto bad = [&](const std::string& fields, const std::string& part) {
        check_bad(raw_file(one(fields), data), "tensor 't': ");
        check_bad(raw_file(one(fields), data), part);
    };
    bad(R"("shape":[2],"data_offsets":[0,8])", "dtype is missing");
    bad(R"("dtype":"F32","data_offsets":[0,8])", "shape is missing");
    bad(R"("dtype":"F32","shape":[2])", "data_offsets is missing");
    bad(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])", "unknown dtype 'F33'");
    bad(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])", "unknown dtype 'f32'");
    bad(R"("dtype":4,"shape":[2],"data_offsets":[0,8])", "dtype has a number");
    bad(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])", "dtype occurs twice");
    bad(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])", "shape occurs twice");
    bad(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", "shape has a negative number");
    bad(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", "shape has a fraction");
    bad(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])", "shape has a string");
    bad(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])", "shape has an array");
    bad(R"("dtype":"F32","shape":2,"data_offsets":[0,8])", "shape has a number");
    bad(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])", "shape has more than 8 numbers");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[0])", "data_offsets has 1 numbers instead of 2");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])", "data_offsets has 3 numbers instead of 2");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", "end before they begin");
    bad(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", "shape [3] of F32 is 12 bytes, but data_offsets span 8");
    bad(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])", "has only 8: it is truncated");
    bad(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])", "overflows");
    bad(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])", "overflows");
    bad(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4])", "or a number beyond 64 bits");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0])", "end before they begin");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551600,18446744073709551608])", "truncated");
    bad(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"colour":"red")", "colour has a string");
    bad(R"("dtype":"F32","shape":[4294967296,0,4294967296,4294967296],"data_offsets":[0,8])", "is 0 bytes");
}

TEST_CASE("tensors that contradict each other", "[weights]") {
    const auto entry = [](const char* name, int begin, int end) {
        return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name, end - begin, begin,
                           end);
    };
    const auto file = [&](const std::string& a, const std::string& b) {
        return raw_file("{" + a + "," + b + "}", "12345678");
    };
    CHECK(parse(file(entry("a", 4, 8), entry("b", 0, 4))));
    check_bad(file(entry("a", 0, 4), entry("a", 4, 8)), "tensor 'a' occurs twice");
    check_bad(file(entry("a", 0, 5), entry("b", 4, 8)), "tensor 'b' overlaps tensor 'a'");
    check_bad(file(entry("a", 0, 8), entry("b", 0, 8)), "overlaps");
    check_bad(file(entry("a", 0, 3), entry("b", 4, 8)), "tensor 'b': 1 bytes before it belong to no tensor");
    check_bad(file(entry("a", 1, 4), entry("b", 4, 8)), "tensor 'a': 1 bytes before it belong to no tensor");
    check_bad(file(entry("a", 0, 4), entry("b", 4, 7)), "1 bytes after the last tensor belong to no tensor");
}

TEST_CASE("no changed byte of a header is taken silently for another layout", "[weights]") {
    const std::string good =
        FileBuilder().add("a", "F32", {2}, std::string(8, '1')).add("b", "F16", {4}, std::string(8, '2')).build();
    for (std::size_t i = 0; i < good.size() - 16; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            std::string file = good;
            file[i] = static_cast<char>(file[i] ^ (1 << bit));
            const auto header = parse(file);
            if (!header) {
                CHECK(header.error().message.find('\n') == std::string::npos);
                continue;
            }
            // What still parses covers the data exactly.
            std::size_t sum = 0;
            for (const StoredTensor& t : header->tensors) sum += t.data.size();
            CHECK(sum == 16);
        }
}

TEST_CASE("text from outside is made printable", "[weights]") {
    CHECK(printable("a\tb\x7f") == "a?b?");
    CHECK(printable("Füße") == "Füße");
    std::string umlauts;
    for (int i = 0; i < 100; ++i) umlauts += "ü";
    const std::string cut = "x" + umlauts;
    CHECK(printable(cut).size() < cut.size());
    CHECK(printable(cut).find("ü...ü") != std::string::npos);
    CHECK(shape_string(std::vector<std::uint64_t>{320, 4}) == "[320, 4]");
    CHECK(shape_string({}) == "[]");
}
