#include "weights/weight_file.hpp"

#include <cstdint>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::TemporaryFolder;

TEST_CASE("a weight file is opened by what is in it, not by its name", "[weights]") {
    const TemporaryFolder folder;
    const auto path = folder / "model.ckpt";
    test::write_file(path, FileBuilder().add("b", "U8", {2}, "xy").add("a", "U8", {1}, "z").build());
    const auto file = WeightFile::open(path);
    REQUIRE(file);
    CHECK(file->format() == FileFormat::safetensors);
    CHECK(to_string(file->format()) == std::string("safetensors"));
    REQUIRE(file->tensors().size() == 2);
    CHECK(file->tensors()[0].name == "a");
    CHECK(file->files().size() == 1);

    // A copy keeps the mapping alive.
    WeightFile copy = *file;
    const StoredTensor* tensor = nullptr;
    {
        auto again = WeightFile::open(path);
        REQUIRE(again);
        tensor = again->find("b");
        copy = *again;
    }
    CHECK(tensor == copy.find("b"));
    CHECK(std::to_integer<char>(tensor->data[1]) == 'y');
}

TEST_CASE("a safetensors file is one whatever its header's length looks like", "[weights]") {
    // '{' begins an index of shards, '<' a web page, "\x80\x02" a pickle, "PK\3\4" is too long for a header.
    const TemporaryFolder folder;
    const auto path = folder / "m.safetensors";
    for (std::size_t length = 512; length < 512 + 256; ++length) {
        std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
        header.resize(length, ' ');
        test::write_file(path, test::raw_file(header, "z"));
        const auto file = WeightFile::open(path);
        INFO(length);
        REQUIRE(file);
        CHECK(file->format() == FileFormat::safetensors);
    }
}

TEST_CASE("what is saved instead of a model is told", "[weights]") {
    const TemporaryFolder folder;
    const auto path = folder / "m.safetensors";
    const auto message = [&](const std::string& bytes) {
        test::write_file(path, bytes);
        const auto file = WeightFile::open(path);
        REQUIRE_FALSE(file);
        CHECK(file.error().code == Code::bad_format);
        return file.error().message;
    };
    CHECK(message("<!DOCTYPE html>\n<html>not found</html>") ==
          path.string() + ": a web page instead of a model: download it again");
    CHECK(message(" \n<html></html>") == path.string() + ": a web page instead of a model: download it again");
    CHECK(message("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n") ==
          path.string() + ": a Git LFS pointer instead of the file itself: fetch it with `git lfs pull`");
    CHECK(message("abc") == path.string() + ": not a safetensors file: 3 bytes, shorter than its header length");
}

TEST_CASE("contents with one name twice are refused; buffers are left alone by hints", "[weights]") {
    const auto bytes = std::make_shared<std::vector<std::byte>>(std::size_t(1) << 16, std::byte{7});
    WeightContents contents;
    contents.path = "made";
    contents.buffers.push_back(bytes);
    contents.tensors.push_back({"a", StoredType::u8, {bytes->size()}, *bytes});
    const auto file = WeightFile::create(contents);
    REQUIRE(file);
    file->will_need(file->tensors()[0].data);
    file->done_with(file->tensors()[0].data);  // given back to the system, they would read as zeros
    CHECK(std::to_integer<int>((*bytes)[5000]) == 7);

    contents.tensors.push_back(contents.tensors[0]);
    const auto twice = WeightFile::create(contents);
    REQUIRE_FALSE(twice);
    CHECK(twice.error().message == "made: tensor 'a' occurs twice");
}
