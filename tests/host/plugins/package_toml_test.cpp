#include "plugins/package_toml.hpp"

#include "catch.hpp"
#include "host/plugins/package_builder.hpp"
#include "plugins/package_path.hpp"

using namespace pumice;
using namespace pumice::host;
using test::description;

namespace {

std::string message(const std::string& toml, Hashes hashes = Hashes::required) {
    const auto parsed = parse_description(toml, "plugin.toml", hashes);
    return parsed ? "" : parsed.failure().message;
}

/// The whole description with one line replaced.
std::string with(const std::string& key, const std::string& line) {
    std::string toml = description({});
    const std::size_t at = toml.find("\n" + key + " = ") == std::string::npos ? 0 : toml.find("\n" + key + " = ") + 1;
    return toml.replace(at, toml.find('\n', at) - at, line);
}

}  // namespace

TEST_CASE("a version is older, as old or newer as semver.org says") {
    const std::vector<std::string> ascending = {"0.9.9",       "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                                "1.0.0-beta",  "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
                                                "1.0.0",       "1.0.1",        "1.2.0",         "1.10.0",
                                                "2.0.0-0.3.7", "2.0.0"};
    for (std::size_t i = 0; i < ascending.size(); ++i)
        for (std::size_t j = 0; j < ascending.size(); ++j) {
            INFO(ascending[i] << " and " << ascending[j]);
            const auto a = parse_version(ascending[i]), b = parse_version(ascending[j]);
            REQUIRE((a && b));
            CHECK(compare(*a, *b) == (i < j ? -1 : i > j ? 1 : 0));
        }
    CHECK(compare(*parse_version("1.0.0+one"), *parse_version("1.0.0+two")) == 0);
    for (const char* wrong : {"", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "1.0.0-01", "1.0.0+",
                              "v1.0.0", "1.0.0-ä", "1.0.-1", " 1.0.0", "1.0.9999999999999999999"})
        CHECK_FALSE(parse_version(wrong));
    CHECK(parse_version("1.0.0-alpha+build.7")->text == "1.0.0-alpha+build.7");
}

TEST_CASE("plugin.toml is read whole, and written so that it reads the same") {
    test::Wanted wanted;
    wanted.version = "1.2.0-rc.1";
    const auto read = parse_description(description(wanted), "plugin.toml", Hashes::required);
    REQUIRE(read);
    CHECK(read->id == "org.example.golden");
    CHECK(read->name == "Golden ratio");
    CHECK(read->version.text == "1.2.0-rc.1");
    CHECK(read->vendor == "Ada");
    CHECK(read->licence == "MIT");
    CHECK(read->sdk == 1u);
    CHECK(read->extensions == std::vector<std::string>{"pumice.sampler/1"});
    CHECK(read->files == std::vector<std::string>{"LICENSE", "shaders/a.comp"});
    REQUIRE(read->libraries.count(wanted.platform) == 1);
    CHECK(read->libraries.at(wanted.platform).file == "golden.so");
    CHECK(read->libraries.at(wanted.platform).sha256 == sha256(test::bytes_of("the library")));

    PackageDescription changed = *read;
    changed.name = "Quotes \" and \\ and ü";
    const std::string once = format_description(changed);
    const auto again = parse_description(once, "plugin.toml", Hashes::required);
    REQUIRE(again);
    CHECK(again->name == changed.name);
    CHECK(format_description(*again) == once);
}

TEST_CASE("a wrong plugin.toml is told with its line and key") {
    CHECK(message(with("vendor", "vendr = \"Ada\"")) ==
          "plugin.toml:4: vendr: there is no such key; did you mean vendor?");
    CHECK(message(with("vendor", "")) == "plugin.toml: vendor: this key is missing");
    CHECK(message(with("name", "name = 3")) == "plugin.toml:2: name: this is a whole number, but must be a text");
    CHECK(message(with("name", "name = \"two\\nlines\"")) ==
          "plugin.toml:2: name: this must be one line of 1 to 200 characters");
    CHECK(message(with("id", "id = \"Org.Example\"")) ==
          "plugin.toml:1: id: Org.Example is no id: a-z, 0-9, '_', '-' and single dots, a letter first, as "
          "org.example.sampler; at most 64 characters");
    CHECK(message(with("version", "version = \"1.0\"")) ==
          "plugin.toml:3: version: 1.0 is no version of the form 1.2.3 (semver.org)");
    CHECK(message(with("sdk", "sdk = \"1\"")) ==
          "plugin.toml:6: sdk: this is a text, but must be a whole number from 1 to 9999");
    CHECK(message(with("sdk", "sdk = 0")) == "plugin.toml:6: sdk: 0 is not a whole number from 1 to 9999");
    CHECK(message(with("extensions", "extensions = \"pumice.sampler/1\"")) ==
          "plugin.toml:7: extensions: this is a text, but must be a list of texts");
    CHECK(message(with("extensions", "extensions = []")) == "plugin.toml:7: extensions: at least one must be listed");
    CHECK(message(with("extensions", "extensions = [\"pumice.sampler\"]")) ==
          "plugin.toml:7: extensions: pumice.sampler is no extension of the form pumice.sampler/1");
    CHECK(message(with("files", "files = [\"LICENSE\",\n 7]")) ==
          "plugin.toml:9: files: this is a whole number, but must be a text");
    CHECK(message(with("files", "files = [\"../LICENSE\"]")) ==
          "plugin.toml:8: files: ../LICENSE: this name leads out of the package");
    CHECK(message(with("files", "files = [\"a\", \"A\"]")) == "plugin.toml: files: A is named twice");
    CHECK(message(with("[libraries", "")).substr(0, 15) == "plugin.toml: id");
    test::Wanted other;
    other.platform = "linux-x86-64";
    CHECK(message(description(other)).substr(0, 60) == "plugin.toml:10: libraries.linux-x86-64: linux-x86-64 is not ");
    CHECK(message(description(other)).find("did you mean linux-x86_64?") != std::string::npos);
    const std::string platform(host_platform()), key = "libraries." + platform;
    CHECK(message(with("sha256", "")) ==
          "plugin.toml:10: " + key + ".sha256: this key is missing; `pumice plugins pack` fills it in");
    CHECK(message(with("sha256", ""), Hashes::optional).empty());
    CHECK(message(with("sha256", "sha256 = \"abc\"")) ==
          "plugin.toml:12: " + key + ".sha256: this must be 64 digits 0-9 and a-f");
    CHECK(message(with("sha256", "sha = \"abc\"")).substr(0, 16 + key.size() + 23) ==
          "plugin.toml:12: " + key + ".sha: there is no such ");
    CHECK(message("id = [").substr(0, 14) == "plugin.toml:1:");
    CHECK(parse_description("id = [", "plugin.toml", Hashes::required).failure().status == PUMICE_BAD_FORMAT);
}

TEST_CASE("names in a package are those that every system can hold") {
    const auto refusal = [](std::string_view path) {
        const auto checked = check_path(path);
        return checked ? Refusal::none : checked.failure().refusal;
    };
    for (const char* good :
         {"a", "LICENSE", "shaders/blur 3x3.comp", "a/b/c.so", "..a", ".hidden", "a-b_c", "comb", "com"})
        CHECK(refusal(good) == Refusal::none);
    for (const char* bad : {"..", "../a", "a/../b", "a/..", "a\\..\\b"}) CHECK(refusal(bad) == Refusal::traversal);
    for (const char* bad : {"/a", "\\a", "c:a", "C:\\a", "//server/a"}) CHECK(refusal(bad) == Refusal::absolute);
    for (const char* bad : {"", ".", "a/", "a//b", "a/./b", "a\\b", "ab:c", "a\nb", "ä", "a.", "a ", "nul", "NUL.txt",
                            "com1", "shaders/aux.comp", "a*", "a?"})
        CHECK(refusal(bad) == Refusal::name);
    CHECK(refusal(std::string(201, 'a')) == Refusal::name);

    for (const char* good : {"a", "org.example.golden_ratio", "a-b.c2"}) CHECK(is_plugin_id(good));
    for (const char* bad : {"", "A", "1a", ".a", "a.", "a..b", "a/b", "a b", "con", "..", "aux.b", "ä"})
        CHECK_FALSE(is_plugin_id(bad));
    CHECK_FALSE(is_plugin_id(std::string(65, 'a')));
}
