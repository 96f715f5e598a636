#include "base/hash.hpp"

#include <cstdio>
#include <string>
#include <string_view>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;

namespace {

std::string digest(std::string_view text) {
    const auto hash = sha256(std::as_bytes(std::span(text.data(), text.size())));
    REQUIRE(hash);
    return *hash;
}

}  // namespace

// The examples of FIPS 180-4 (NIST, "SHA-256 example values").
TEST_CASE("SHA-256 of the standard's examples", "[base]") {
    CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 of a file", "[base]") {
    const test::TemporaryFolder folder;
    const std::string text(3'000'000, 'b');
    test::write_file(folder / "f", text);
    const auto hash = sha256_file(folder / "f");
    REQUIRE(hash);
    CHECK(*hash == digest(text));
    const auto absent = sha256_file(folder / "absent");
    REQUIRE_FALSE(absent);
    CHECK(absent.error().code == Code::not_found);
    CHECK(absent.error().message.find((folder / "absent").string()) == 0);
    const auto a_folder = sha256_file(folder / ".");
    REQUIRE_FALSE(a_folder);
    CHECK(a_folder.error().code == Code::io);
}
