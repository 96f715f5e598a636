#include "plugins/package.hpp"

#include <sys/stat.h>

#include "catch.hpp"
#include "host/plugins/package_builder.hpp"
#include "plugins/package_folder.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::host;
using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

std::span<const std::uint8_t> span_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text_of(const Bytes& bytes) {
    return {bytes.begin(), bytes.end()};
}

SecretKey new_key() {
    auto key = SecretKey::generate();
    REQUIRE(key);
    return std::move(*key);
}

Refusal refusal_of(const std::string& zip) {
    const auto package = read(zip);
    return package ? Refusal::none : package.failure().refusal;
}

}  // namespace

TEST_CASE("a package gives its files and its description") {
    const auto package = read(test::package());
    REQUIRE(package);
    CHECK(package->description.id == "org.example.golden");
    CHECK(package->files.size() == 4);
    CHECK(text_of(package->files.at("shaders/a.comp")) == "main");
    CHECK_FALSE(package->signed_by);

    // As zip programs make it: folders have entries of their own.
    std::vector<Entry> entries = entries_of();
    entries.insert(entries.begin(), {.name = "shaders/", .folder = true});
    const auto with_folder = read(make_zip(entries));
    REQUIRE(with_folder);
    CHECK(with_folder->files == package->files);
    CHECK(read(make_zip(entries, {.stored = true})));
}

TEST_CASE("a signature is by the key that made it, and holds for all files") {
    const SecretKey key = new_key();
    const auto package = read(signed_package(key));
    REQUIRE(package);
    CHECK(package->signed_by == key.public_key());

    PackageFiles files = package->files;
    const std::string signature = text_of(files.at("plugin.sig"));
    CHECK(manifest_of(files) == "pumice-package 1\n" + sha256(bytes_of("You may.")) + " 8 LICENSE\n" +
                                    sha256(bytes_of("the library")) + " 11 golden.so\n" +
                                    sha256(files.at("plugin.toml")) + " " +
                                    std::to_string(files.at("plugin.toml").size()) + " plugin.toml\n" +
                                    sha256(bytes_of("main")) + " 4 shaders/a.comp\n");
    CHECK(verify(manifest_of(files), signature));
    for (const char* name : {"LICENSE", "plugin.toml", "golden.so", "shaders/a.comp"}) {
        PackageFiles changed = files;
        changed[name].back() ^= 1;
        CHECK_FALSE(verify(manifest_of(changed), signature));
    }
    PackageFiles more = files, fewer = files;
    more["b"] = {};
    fewer.erase("LICENSE");
    CHECK_FALSE(verify(manifest_of(more), signature));
    CHECK_FALSE(verify(manifest_of(fewer), signature));
    // Every single character of the signature counts.
    for (std::size_t i = 0; i < signature.size(); ++i) {
        std::string changed = signature;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        const auto verified = verify(manifest_of(files), changed);
        CHECK((!verified && verified.failure().refusal == Refusal::signature));
    }
    for (const std::string& wrong : {std::string(), signature + "\n", signature.substr(1), "\n" + signature})
        CHECK_FALSE(verify(manifest_of(files), wrong));
}

TEST_CASE("SHA-256 and Ed25519 are those of the standards") {
    // FIPS 180-2, B.1; RFC 8032, 7.1, test 2: the message is the byte 0x72.
    CHECK(sha256(bytes_of("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string key = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    const std::string signature =
        "pumice-signature 1\nkey " + key +
        "\nsignature kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==\n";
    const auto verified = verify("r", signature);
    REQUIRE(verified);
    CHECK(key_text(*verified) == key);
    CHECK_FALSE(verify("s", signature));
    CHECK_FALSE(parse_key("ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgx="));  // bits that mean nothing must be 0
    CHECK_FALSE(parse_key("PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="));
}

TEST_CASE("a key's file is for its owner alone, and never replaced") {
    TemporaryFolder folder;
    const fs::path file = folder.path() / "key";
    const SecretKey key = new_key();
    REQUIRE(key.write(file));
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    {
        const auto again = SecretKey::read(file);
        REQUIRE(again);
        CHECK(again->public_key() == key.public_key());
    }
    const std::string content = read_file(file);
    const auto second = new_key().write(file);
    REQUIRE_FALSE(second);
    CHECK(second.failure().message == file.string() + " exists already; a key is never replaced, choose another name");
    CHECK(read_file(file) == content);

    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    const auto open_to_others = SecretKey::read(file);
    REQUIRE_FALSE(open_to_others);
    CHECK(open_to_others.failure().message.find("chmod 600") != std::string::npos);
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    // The public half of another key.
    std::string mixed = content;
    const fs::path other = folder.path() / "other";
    REQUIRE(new_key().write(other));
    mixed.replace(mixed.size() - 30, 30, read_file(other).substr(mixed.size() - 30));
    for (const std::string& damaged :
         {mixed, content.substr(0, content.size() - 1), content + "x", std::string(), "x" + content}) {
        write_file(file, damaged);
        const auto wrong = SecretKey::read(file);
        REQUIRE_FALSE(wrong);
        CHECK(wrong.failure().status == PUMICE_BAD_FORMAT);
    }
    CHECK(SecretKey::read(folder.path() / "none").failure().status == PUMICE_NOT_FOUND);
}

TEST_CASE("a packed folder holds what plugin.toml names, and is the same bytes each time") {
    TemporaryFolder folder;
    const SecretKey key = new_key();
    write_project(folder.path());
    const auto zip = pack_folder(folder.path(), &key);
    REQUIRE(zip);
    ::setenv("TZ", "Asia/Tokyo", 1);
    ::tzset();
    CHECK(*pack_folder(folder.path(), &key) == *zip);
    ::unsetenv("TZ");
    ::tzset();
    const auto package = read_package(*zip, "FILE");
    REQUIRE(package);
    CHECK(package->signed_by == key.public_key());
    CHECK(package->files.size() == 5);
    CHECK(package->files.count("golden.c") == 0);
    CHECK(package->description.libraries.at(std::string(host_platform())).sha256 == sha256(bytes_of("the library")));

    // Unpacked and packed again without the key it is the same but for the signature.
    TemporaryFolder unpacked;
    for (const auto& [name, bytes] : package->files) {
        fs::create_directories((unpacked.path() / name).parent_path());
        write_file(unpacked.path() / name, text_of(bytes));
    }
    const auto loaded = load_package(unpacked.path());
    REQUIRE(loaded);
    CHECK(loaded->signed_by == key.public_key());
    CHECK(loaded->files == package->files);
    const auto unsigned_zip = pack_folder(unpacked.path(), nullptr);
    REQUIRE(unsigned_zip);
    CHECK_FALSE(read_package(*unsigned_zip, "FILE")->signed_by);
}

TEST_CASE("a folder's links lead nowhere") {
    TemporaryFolder folder, outside;
    write_project(folder.path());
    write_file(outside.path() / "a.comp", "secret");
    const auto refusal = [&] {
        const auto package = load_package(folder.path());
        return package ? Refusal::none : package.failure().refusal;
    };
    CHECK(refusal() == Refusal::none);
    fs::remove(folder.path() / "shaders" / "a.comp");
    CHECK(refusal() == Refusal::missing);
    fs::create_symlink(outside.path() / "a.comp", folder.path() / "shaders" / "a.comp");
    CHECK(refusal() == Refusal::link);
    fs::remove_all(folder.path() / "shaders");
    fs::create_directory_symlink(outside.path(), folder.path() / "shaders");
    CHECK(refusal() == Refusal::link);
    fs::remove(folder.path() / "shaders");
    fs::create_directories(folder.path() / "shaders" / "a.comp");
    CHECK(refusal() == Refusal::link);
    fs::remove(folder.path() / "shaders" / "a.comp");
    REQUIRE(::mkfifo((folder.path() / "shaders" / "a.comp").c_str(), 0600) == 0);
    CHECK(refusal() == Refusal::link);  // and does not wait for a writer

    const auto none = load_package(outside.path());
    REQUIRE_FALSE(none);
    CHECK(none.failure().message ==
          outside.path().string() + ": plugin.toml is missing; it says what belongs to the plugin");
    CHECK(load_package(folder.path() / "none").failure().status == PUMICE_NOT_FOUND);
}

TEST_CASE("what is no zip, or damaged, is no package") {
    const std::string good = test::package();
    for (const std::string& wrong : {std::string(), std::string("PK"), std::string(1000, 'x'),
                                     good.substr(0, good.size() / 2), good.substr(1), "\x1f\x8b" + good}) {
        const auto package = read(wrong);
        REQUIRE_FALSE(package);
        CHECK(package.failure().status == PUMICE_BAD_FORMAT);
        CHECK(package.failure().message.rfind("FILE: ", 0) == 0);
    }
    // No single byte that is changed gives another content: refused, or the same files.
    const auto files = read(good)->files;
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string changed = good;
        changed[i] = static_cast<char>(changed[i] ^ 0x20);
        const auto package = read(changed);
        INFO("byte " << i);
        CHECK((!package || package->files == files));
        if (!package) CHECK(package.failure().message.find('\n') == std::string::npos);
    }
}

TEST_CASE("a zip is refused that unpacks to too much") {
    const std::string zeros(4 << 20, '\0');
    const std::string bomb = make_zip({{"a", zeros}});
    REQUIRE(bomb.size() < 10000);
    auto refused = read_zip(span_of(bomb), "FILE");
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().refusal == Refusal::too_large);
    CHECK(refused.failure().message == "FILE: unpacks to more than 200 times its size");
    // Below the limit of the ratio, a sum over the files, not one file, is what counts.
    ZipLimits limits;
    limits.ratio = 1000000;
    limits.unpacked = 3 << 20;
    const std::string two = make_zip({{"a", zeros.substr(0, 2 << 20)}, {"b", zeros.substr(0, 2 << 20)}});
    refused = read_zip(span_of(two), "FILE", limits);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().message == "FILE: unpacks to more than 3 MiB");
    limits.unpacked = 4 << 20;
    CHECK(read_zip(span_of(two), "FILE", limits));
    limits.files = 1;
    refused = read_zip(span_of(two), "FILE", limits);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().message == "FILE: more than 1 files");
    limits = {};
    limits.package = 1000;
    CHECK(read_zip(span_of(bomb), "FILE", limits).failure().refusal == Refusal::too_large);
}

TEST_CASE("names that are one are told, whatever else is wrong") {
    CHECK(refusal_of(make_zip({{"a", ""}, {"a", ""}})) == Refusal::duplicate);
    CHECK(refusal_of(make_zip({{"shaders/A", ""}, {"shaders/a", ""}})) == Refusal::duplicate);
    CHECK(refusal_of(make_zip({{"a", ""}, {"A/b", ""}})) == Refusal::duplicate);
    CHECK(refusal_of(make_zip({{"a", ""}, {"b", ""}})) == Refusal::missing);
}
