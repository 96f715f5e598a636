#include "base/new_file.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "catch.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
namespace fs = std::filesystem;

namespace {

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string contents(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t count(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a new file appears when it is whole, and not before") {
    const test::TemporaryFolder folder;
    const fs::path path = folder.path() / "model";
    {
        auto file = NewFile::create(path, Existing::refuse);
        REQUIRE(file);
        REQUIRE(file->write(bytes("abcdef")));
        REQUIRE(file->patch(2, bytes("XY")));
        REQUIRE(file->align(8));
        CHECK(file->size() == 8);
        CHECK_FALSE(fs::exists(path));
        REQUIRE(file->finish());
        CHECK(contents(path) == std::string("abXYef\0\0", 8));
        CHECK(count(folder.path()) == 1);
    }
    {
        auto file = NewFile::create(path, Existing::replace);
        REQUIRE(file);
        REQUIRE(file->write(bytes("never finished")));
    }
    CHECK(contents(path) == std::string("abXYef\0\0", 8));
    CHECK(count(folder.path()) == 1);
    auto file = NewFile::create(path, Existing::replace);
    REQUIRE(file);
    REQUIRE(file->finish());
    CHECK(contents(path).empty());
}

TEST_CASE("a new file refuses a name that is taken, also by one that came meanwhile") {
    const test::TemporaryFolder folder;
    const fs::path path = folder.path() / "model";
    auto file = NewFile::create(path, Existing::refuse);
    REQUIRE(file);
    std::ofstream(path) << "another's";
    const auto late = file->finish();
    REQUIRE_FALSE(late);
    CHECK(late.error().message.find("exists; choose another name, or --force replaces it") != std::string::npos);
    const auto early = NewFile::create(path, Existing::refuse);
    REQUIRE_FALSE(early);
    CHECK(early.error().code == Code::io);
    CHECK(contents(path) == "another's");

    CHECK(NewFile::create(folder.path(), Existing::replace).error().message.find("it is a folder") !=
          std::string::npos);
    const auto nowhere = NewFile::create(folder.path() / "none" / "model", Existing::refuse);
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == Code::not_found);
}

TEST_CASE("a new folder replaces a model's folder alone") {
    const test::TemporaryFolder folder;
    const fs::path path = folder.path() / "model";
    const auto make = [&](Existing existing, const char* name) -> Status {
        PUMICE_ASSIGN(NewFolder made, NewFolder::create(path, existing));
        std::ofstream(made.path() / name) << "x";
        return made.finish();
    };
    REQUIRE(make(Existing::refuse, "model_index.json"));
    CHECK_FALSE(make(Existing::refuse, "second"));
    REQUIRE(make(Existing::replace, "third"));
    CHECK(fs::exists(path / "third"));
    CHECK_FALSE(fs::exists(path / "model_index.json"));
    const auto refused = make(Existing::replace, "fourth");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("what is there is no model's folder") != std::string::npos);
    CHECK(count(folder.path()) == 1);
}
