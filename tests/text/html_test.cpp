#include "text/html.hpp"

#include "catch.hpp"

using pumice::unescape_html;

TEST_CASE("Character references are resolved as Python's html.unescape does", "[text]") {
    struct Case {
        const char *text, *expected;
    };
    const Case cases[] = {
        {"&amp;&lt;&gt;&quot;&nbsp;", "&<>\"\u00A0"},
        {"&amp;amp;", "&amp;"},  // once
        {"&amp &AMP &ampx &gt", "& & &x >"},
        {"&notin; &notit; &not", "∉ ¬it; ¬"},
        {"&hearts; &heartsx; &hearts", "♥ &heartsx; &hearts"},  // needs its semicolon
        {"&NotEqualTilde;", "≂\u0338"},
        {"&CounterClockwiseContourIntegral;", "∳"},
        {"&#65;&#x41;&#X41;&#65x &#x1F600;", "AAAAx 😀"},
        {"&#128;&#x99;&#x81;", "€™\u0081"},
        {"&#0;&#xD800;&#x110000;&#99999999999999999999;", "\uFFFD\uFFFD\uFFFD\uFFFD"},
        {"a&#1;b&#xB;c&#x7F;d&#xFFFE;e&#xFDD0;f", "abcdef"},
        {"&#9;&#13;", "\t\r"},
        {"& && &; &# &#; &#x; &#xg; &a", "& && &; &# &#; &#x; &#xg; &a"},
        {"&\u732B;&#\uFF11;", "&\u732B;&#\uFF11;"},
        {"", ""},
        {"&", "&"},
    };
    for (const auto& [text, expected] : cases) CHECK(unescape_html(text) == expected);
}
