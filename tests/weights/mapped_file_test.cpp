#include "weights/mapped_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "catch.hpp"
#include "file_builder.hpp"

using namespace pumice;
using pumice::test::TemporaryFolder;
using pumice::test::write_file;

namespace {

void check_error(const std::filesystem::path& path, Code code, const std::string& part) {
    const auto file = MappedFile::open(path);
    REQUIRE_FALSE(file);
    CHECK(file.error().code == code);
    CHECK(file.error().message.find(path.string()) == 0);
    CHECK(file.error().message.find(part) != std::string::npos);
    CHECK(file.error().message.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("a mapped file shows the file's bytes", "[weights]") {
    const TemporaryFolder folder;
    const std::string text(100'000, 'x');
    write_file(folder / "a", text + "end");
    auto file = MappedFile::open(folder / "a");
    REQUIRE(file);
    REQUIRE(file->bytes().size() == text.size() + 3);
    CHECK(file->bytes()[text.size()] == std::byte{'e'});
    file->will_need(file->bytes().subspan(5, 50'000));
    file->done_with(file->bytes().subspan(5, 50'000));
    CHECK(file->bytes()[7] == std::byte{'x'});
    const MappedFile moved = std::move(*file);
    CHECK(moved.bytes()[text.size() + 2] == std::byte{'d'});
    CHECK(moved.path() == folder / "a");
    CHECK(file->bytes().empty());
}

TEST_CASE("what cannot be mapped is named", "[weights]") {
    const TemporaryFolder folder;
    check_error(folder / "absent", Code::not_found, "No such file");
    check_error(folder / ".", Code::io, "is a folder");
    write_file(folder / "empty", "");
    check_error(folder / "empty", Code::bad_format, "empty");
    check_error("/dev/null", Code::io, "not a regular file");
    if (::geteuid() != 0) {  // root may read anything
        write_file(folder / "closed", "x");
        REQUIRE(::chmod((folder / "closed").c_str(), 0) == 0);
        check_error(folder / "closed", Code::io, "Permission denied");
    }
}
