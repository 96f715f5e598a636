#include "npy.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include "catch.hpp"

using namespace pumice;

namespace {

/// A .npy file of the given header and data bytes, removed with the object.
struct File {
    std::filesystem::path path = std::filesystem::temp_directory_path() / "pumice_npy_test.npy";
    File(const std::string& dictionary, const std::string& data, char version = 1) {
        std::string bytes("\x93NUMPY", 6);
        bytes += version;
        bytes += '\0';
        const std::size_t length = dictionary.size();
        for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>((length >> (8 * i)) & 0xFF);
        std::ofstream(path, std::ios::binary) << bytes + dictionary + data;
    }
    ~File() { std::filesystem::remove(path); }
};

const std::string kTwoByThree = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

}  // namespace

TEST_CASE("a .npy file is read with its shape") {
    const std::string data("\0\0\x80\x3f\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\xbf", 24);
    for (const char version : {'\1', '\2'}) {
        const File file(kTwoByThree, data, version);
        const auto npy = read_npy<float>(file.path);
        REQUIRE(npy);
        CHECK(npy->shape == std::vector<std::uint64_t>{2, 3});
        CHECK(npy->data == std::vector<float>{1, 2, 0, 0, 0, -1});
    }
    const File scalar("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", std::string("\7\0\0\0\0\0\0\0", 8));
    CHECK(read_npy<std::int64_t>(scalar.path)->data == std::vector<std::int64_t>{7});
}

TEST_CASE("damaged .npy files are refused") {
    const std::string data(24, '\0');
    const auto code_of = [](const std::string& dictionary, const std::string& bytes) {
        const File file(dictionary, bytes);
        return read_npy<float>(file.path).error().code;
    };
    CHECK(code_of(kTwoByThree, data.substr(1)) == Code::bad_format);
    CHECK(code_of(kTwoByThree, data + "x") == Code::bad_format);
    CHECK(code_of("", data) == Code::bad_format);
    for (const std::string dictionary :
         {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }",
          "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 3), }",
          "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }",
          "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
          "{'fortran_order': False, 'shape': (2, 3), }"}) {
        INFO(dictionary);
        CHECK(code_of(dictionary, data) == Code::bad_format);
    }
    CHECK(read_npy<float>("/nonexistent.npy").error().code == Code::io);
    const File file(kTwoByThree, data);
    std::filesystem::resize_file(file.path, 11);
    CHECK(read_npy<float>(file.path).error().code == Code::bad_format);
}
