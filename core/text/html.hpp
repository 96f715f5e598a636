// HTML's character references, as Python's html.unescape() resolves them.
#pragma once

#include <string>
#include <string_view>

namespace pumice {

/// Replaces `&name;`, `&#65;` and `&#x41;` once (also the old names that HTML lets stand without a semicolon); what is
/// not a reference stays as it is. `text` must be UTF-8, and so is what comes back. Rules: HTML, "13.2.5.80 Numeric
/// character reference end state", except that control characters and noncharacters vanish, as they do in Python.
std::string unescape_html(std::string_view text);

}  // namespace pumice
