#include "weights/gguf.hpp"

#include <cstring>

#include "catch.hpp"
#include "weights/file_builder.hpp"
#include "weights/gguf_builder.hpp"

using namespace pumice;
using test::GgufBuilder;
using test::little;

namespace {

Result<GgufHeader> parse(const std::string& file) {
    return parse_gguf(std::as_bytes(std::span(file.data(), file.size())), "m.gguf");
}

std::string refused(const std::string& file, Code code = Code::bad_format) {
    const auto header = parse(file);
    REQUIRE_FALSE(header);
    CHECK(header.error().code == code);
    CHECK(header.error().message.find('\n') == std::string::npos);
    REQUIRE(header.error().message.find("m.gguf: ") == 0);
    return header.error().message.substr(8);
}

GgufBuilder sound() {
    GgufBuilder builder;
    builder.entry("general.architecture", 8, GgufBuilder::text("diffusion"));
    builder.entry("general.alignment", 4, little(32, 4));
    builder.entry("small", 1, little(0xff, 1)).entry("half", 6, little(0x3f000000, 4));
    builder.entry("words", 9, little(8, 4) + little(2, 8) + GgufBuilder::text("a") + GgufBuilder::text(""));
    builder.entry("numbers", 9, little(5, 4) + little(3, 8) + std::string(12, 'x'));
    builder.add("w", 8, {3, 64}, std::string(3 * 2 * 34, 'w'));
    builder.add("bias", 0, {3}, std::string(12, 'b'));
    builder.add("kernel", 1, {2, 3, 1, 1}, std::string(12, 'k'));
    return builder;
}

}  // namespace

TEST_CASE("a sound GGUF file", "[weights]") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "m", sound().build());
    const auto file = WeightFile::open(folder / "m");
    if (!file) FAIL(file.error().message);
    CHECK(file->format() == FileFormat::gguf);
    CHECK(file->metadata().at("general.architecture") == "diffusion");
    CHECK(file->metadata().at("small") == "-1");
    CHECK(file->metadata().at("half") == "0.5");
    CHECK(file->metadata().count("words") == 0);
    const StoredTensor* const w = file->find("w");
    REQUIRE(w);
    CHECK(w->dtype == StoredType::q8_0);
    CHECK(w->shape == std::vector<std::uint64_t>{3, 64});
    CHECK(w->elements() == 192);
    CHECK(w->data.size() == 204);
    CHECK(std::to_integer<char>(w->data[203]) == 'w');
    CHECK(std::to_integer<char>(file->find("bias")->data[0]) == 'b');
    CHECK(file->find("kernel")->shape == std::vector<std::uint64_t>{2, 3, 1, 1});
    CHECK(parse(sound().build(2)));
}

TEST_CASE("GGUF files that are damaged or not read", "[weights]") {
    const std::string whole = sound().build();
    for (std::size_t size = 4; size < whole.size(); ++size) {
        INFO("the first " << size << " bytes of " << whole.size());
        CHECK(refused(whole.substr(0, size)).find("truncated") != std::string::npos);
    }
    CHECK(refused(sound().build(1), Code::unsupported) == "GGUF version 1; 2 and 3 can be read");
    CHECK(refused(sound().build(0x03000000), Code::unsupported) == "GGUF version 50331648; 2 and 3 can be read");
    CHECK(refused("GGUF" + little(3, 4) + little(~std::uint64_t(0), 8) + little(0, 8)) ==
          "a GGUF header of 18446744073709551615 tensors and 0 entries");
    CHECK(refused(GgufBuilder().build()) == "a GGUF file without tensors");
    CHECK(refused(GgufBuilder().add("i", 16, {256}, "").build(), Code::unsupported) ==
          "tensor 'i' is of ggml's type 16, which cannot be used");
    CHECK(refused(GgufBuilder().add("r", 8, {2, 33}, "").build()) ==
          "tensor 'r': shape [2, 33] cannot be of type Q8_0");
    CHECK(refused(GgufBuilder().add("r", 0, {std::uint64_t(1) << 62, 4}, "").build()) ==
          "tensor 'r': shape [4611686018427387904, 4] cannot be of type F32");
    CHECK(refused(GgufBuilder().add("r", 0, {1, 1, 1, 1, 1}, "").build()) ==
          "tensor 'r': has 5 axes, but GGUF allows 4");
    CHECK(refused(GgufBuilder().entry("general.alignment", 4, little(3, 4)).build()) == "general.alignment is 3");
    CHECK(refused(GgufBuilder().entry("general.alignment", 4, little(0, 4)).build()) == "general.alignment is 0");
    CHECK(refused(GgufBuilder().entry("k", 13, "").build()) == "entry 'k' is of the unknown type 13");
    CHECK(refused(GgufBuilder().entry("k", 9, little(9, 4) + little(1, 8)).build()) ==
          "entry 'k' is an array of the unknown type 9");
    CHECK(refused(GgufBuilder().entry("k", 9, little(12, 4) + little(std::uint64_t(1) << 61, 8)).build())
              .find("truncated") != std::string::npos);
    const test::TemporaryFolder folder;
    test::write_file(folder / "m", GgufBuilder().add("a", 0, {1}, "1234").add("a", 0, {1}, "1234").build());
    const auto twice = WeightFile::open(folder / "m");
    REQUIRE_FALSE(twice);
    CHECK(twice.error().message == (folder / "m").string() + ": tensor 'a' occurs twice");
}
