#include "text/unicode.hpp"

#include <initializer_list>

#include "catch.hpp"

using namespace pumice;

TEST_CASE("Ill-formed UTF-8 is refused at its first byte", "[text]") {
    struct Case {
        std::string text;
        std::size_t offset;
    };
    const Case cases[] = {
        {"ab\x80", 2},                // a continuation with nothing to continue
        {"\xC0\x80", 0},              // overlong
        {"x\xE0\x9F\xBF", 1},         // overlong
        {"\xED\xA0\x80", 0},          // a surrogate
        {"\xF4\x90\x80\x80", 0},      // above U+10FFFF
        {"caf\xC3", 3},               // cut off
        {"\xE7\x8C\xAB\xE7\x8C", 3},  // cut off
        {"\xFF", 0},
    };
    for (const auto& [text, offset] : cases) {
        const Status status = check_utf8(text);
        INFO(offset);
        REQUIRE(!status);
        CHECK(status.error().code == Code::invalid_argument);
        CHECK(status.error().message.ends_with("byte " + std::to_string(offset)));
    }
    CHECK(check_utf8(""));
    CHECK(check_utf8("a\xC2\x80\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
}

TEST_CASE("Every code point survives being written and read", "[text]") {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        if (c == 0xD800) c = 0xE000;
        std::string text;
        append_utf8(text, c);
        std::size_t offset = 0;
        if (!check_utf8(text) || next_code_point(text, offset) != c || offset != text.size()) FAIL(std::uint32_t{c});
    }
}

TEST_CASE("Ill-formed parts become one replacement character each", "[text]") {
    // The example of The Unicode Standard, table 3-8.
    CHECK(replace_invalid_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
          "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
}

TEST_CASE("White space is stripped as Python does", "[text]") {
    CHECK(strip("\t\n\x1C \u00A0\u3000a \u200B\u2003\u0085") == "a \u200B");
    CHECK(strip(" \u2003 ").empty());
    CHECK(strip("").empty());
    CHECK(strip_left(" a ") == "a ");
    CHECK(strip_right(" a ") == " a");
    CHECK(strip("\u180E") == "\u180E");
}

TEST_CASE("Lower case is Unicode's, with its special cases", "[text]") {
    CHECK(to_lower("AbZ 09[]") == "abz 09[]");
    CHECK(to_lower("ÀÉÕẞŁЖԱႠ") == "àéõßłжաⴀ");
    CHECK(to_lower("İI") == "i\u0307i");
    CHECK(to_lower("K Å") == "k å");  // the signs of Kelvin and Ångström
    CHECK(to_lower("ΟΔΟΣ ΣΑΣ Σ ΑΣ. ΑΣ'Α A\u0301Σ") == "οδος σας σ ας. ασ'α a\u0301ς");
    CHECK(to_lower("\U00010400ǅ") == "\U00010428ǆ");
}
