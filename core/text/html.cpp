#include "text/html.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "text/tables.hpp"
#include "text/unicode.hpp"

namespace pumice {
namespace {

/// References to 0x80…0x9F mean Windows-1252, where it has a character; 0 where it has none.
constexpr std::array<std::uint16_t, 32> windows_1252 = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                        0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                                        0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                        0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

const char* find_entity(std::string_view name) {
    const auto table = text_tables::html_entities();
    const auto found = std::lower_bound(table.begin(), table.end(), name,
                                        [](const auto& entry, std::string_view key) { return entry.name < key; });
    return found != table.end() && found->name == name ? found->text : nullptr;
}

bool is_noncharacter(char32_t c) {
    return (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
}

void append_reference(std::string& out, char32_t c) {
    if (c >= 0x80 && c <= 0x9F) {
        append_utf8(out, windows_1252[c - 0x80] ? windows_1252[c - 0x80] : c);
    } else if (c == 0 || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) {
        append_utf8(out, U'\uFFFD');
    } else if (const bool control = (c < 0x20 && !(c >= 0x09 && c <= 0x0D && c != 0x0B)) || c == 0x7F;
               !control && !is_noncharacter(c)) {
        append_utf8(out, c);
    }
}

/// The value of the digit in `base` (10 or 16), or -1.
int digit_value(char c, int base) {
    if (c >= '0' && c <= '9') return c - '0';
    if (base == 10) return -1;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Resolves `#65;` at the start of `text`; returns how many bytes it took, 0 if it is no numeric reference.
std::size_t numeric_reference(std::string_view text, std::string& out) {
    const int base = text.size() > 1 && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const std::size_t start = base == 16 ? 2 : 1;
    char32_t value = 0;
    std::size_t at = start;
    for (; at < text.size() && digit_value(text[at], base) >= 0; ++at)
        value = std::min<char32_t>(value * static_cast<char32_t>(base) + digit_value(text[at], base), 0x110000);
    if (at == start) return 0;
    append_reference(out, value);
    return at < text.size() && text[at] == ';' ? at + 1 : at;
}

/// Resolves `amp;` at the start of `text`: the whole name, or else its longest beginning that may stand without a
/// semicolon. Returns how many bytes it took, 0 if there is none.
std::size_t named_reference(std::string_view text, std::string& out) {
    constexpr std::size_t longest = 32;  // characters, without the semicolon
    std::size_t size = std::min(text.find_first_of("\t\n\f <&#;"), text.size());
    size = std::min(size, longest);
    if (size < text.size() && text[size] == ';') {
        if (const char* entity = find_entity(text.substr(0, size + 1))) {
            out += entity;
            return size + 1;
        }
    }
    for (; size > 1; --size) {
        if (const char* entity = find_entity(text.substr(0, size))) {
            out += entity;
            return size;
        }
    }
    return 0;
}

}  // namespace

std::string unescape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t ampersand = std::min(text.find('&', at), text.size());
        out += text.substr(at, ampersand - at);
        if (ampersand == text.size()) break;
        const std::string_view rest = text.substr(ampersand + 1);
        const std::size_t taken = rest.starts_with('#') ? numeric_reference(rest, out) : named_reference(rest, out);
        if (taken == 0) out += '&';
        at = ampersand + 1 + taken;
    }
    return out;
}

}  // namespace pumice
