#include "config/styles.hpp"

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::host;
using namespace pumice::test;
using Rows = std::vector<std::vector<std::string>>;

TEST_CASE("CSV as RFC 4180 has it") {
    const auto rows = [](std::string_view text) {
        const auto read = parse_csv(text, "styles.csv");
        REQUIRE(read);
        return *read;
    };
    CHECK(rows("a,b\n1,2\n") == Rows{{"a", "b"}, {"1", "2"}});
    CHECK(rows("a,b\r\n\r\n\"x, \"\"y\"\"\nz\",\r\n") == Rows{{"a", "b"}, {"x, \"y\"\nz", ""}});
    CHECK(rows("\xEF\xBB\xBF"
               "a") == Rows{{"a"}});
    CHECK(rows("\"\"\n") == Rows{{""}});
    CHECK(rows("").empty());
    CHECK(rows("a\"b,c") == Rows{{"a\"b", "c"}});
    const auto open = parse_csv("a\n\"b\n", "styles.csv");
    REQUIRE_FALSE(open);
    CHECK(open.failure().message == "styles.csv:2: a quote that is never closed");
}

TEST_CASE("styles are read by the names of their columns") {
    TemporaryFolder folder;
    const auto file = folder.path() / "styles.csv";
    write_file(file, "name,prompt,negative_prompt\nOil,\"{prompt}, oil\",photo\nNight,\"at night\",\n");
    const auto styles = read_styles(file);
    REQUIRE(styles);
    REQUIRE(styles->size() == 2);
    std::string prompt = "a boat", negative = "fog";
    apply_style((*styles)[0], prompt, negative);
    CHECK(prompt == "a boat, oil");
    CHECK(negative == "fog, photo");
    apply_style((*styles)[1], prompt, negative);
    CHECK(prompt == "a boat, oil, at night");
    CHECK(negative == "fog, photo");
    std::string empty, none;
    apply_style((*styles)[1], empty, none);
    CHECK(empty == "at night");
    CHECK(none.empty());

    write_file(file, "text,name\na mill,Mill\n");
    REQUIRE(read_styles(file));
    CHECK((*read_styles(file))[0].prompt == "a mill");
    write_file(file, "1,2\n");
    CHECK(read_styles(file).failure().status == PUMICE_BAD_FORMAT);
    CHECK(read_styles(folder.path() / "none.csv").failure().status == PUMICE_NOT_FOUND);
}
