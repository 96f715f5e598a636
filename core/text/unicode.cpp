#include "text/unicode.hpp"

#include <algorithm>
#include <cstdint>

#include "text/tables.hpp"

namespace pumice {
namespace {

/// What stands at an offset: `length` bytes, a code point if `valid`, else the maximal ill-formed part.
struct Decoded {
    char32_t code_point = 0;
    std::size_t length = 1;
    bool valid = false;
};

/// The bounds of the second byte rule out overlong forms, surrogates and what lies above U+10FFFF (The Unicode
/// Standard, table 3-7).
Decoded decode(std::string_view text, std::size_t offset) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[offset + i]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4) return {};
    const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    char32_t code_point = lead & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const bool second = i == 1;
        if (offset + i >= text.size() || byte(i) < (second ? low : 0x80) || byte(i) > (second ? high : 0xBF))
            return {0, i, false};
        code_point = code_point << 6 | (byte(i) & 0x3Fu);
    }
    return {code_point, length, true};
}

bool contains(std::span<const text_tables::CodePoints> ranges, char32_t code_point) {
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), code_point,
                                        [](char32_t value, const auto& range) { return value < range.first; });
    return after != ranges.begin() && code_point <= std::prev(after)->last;
}

char32_t simple_lower(char32_t code_point) {
    if (code_point < 0x80) return code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
    const auto table = text_tables::lower_case();
    const auto found = std::lower_bound(table.begin(), table.end(), code_point,
                                        [](const auto& entry, char32_t value) { return entry.from < value; });
    return found != table.end() && found->from == code_point ? found->to : code_point;
}

/// A capital sigma ends a word when the nearest letter before it exists and none follows, skipping what is ignorable
/// (The Unicode Standard, section 3.13, Final_Sigma).
bool is_final_sigma(const std::u32string& text, std::size_t at) {
    std::size_t before = at;
    while (before > 0 && contains(text_tables::case_ignorable(), text[before - 1])) --before;
    if (before == 0 || !contains(text_tables::cased(), text[before - 1])) return false;
    std::size_t after = at + 1;
    while (after < text.size() && contains(text_tables::case_ignorable(), text[after])) ++after;
    return after == text.size() || !contains(text_tables::cased(), text[after]);
}

}  // namespace

Status check_utf8(std::string_view text) {
    for (std::size_t offset = 0; offset < text.size();) {
        const Decoded decoded = decode(text, offset);
        if (!decoded.valid)
            return Error{Code::invalid_argument, "the text is not UTF-8 at byte " + std::to_string(offset)};
        offset += decoded.length;
    }
    return {};
}

char32_t next_code_point(std::string_view text, std::size_t& offset) {
    const Decoded decoded = decode(text, offset);
    offset += decoded.length;
    return decoded.code_point;
}

void append_utf8(std::string& text, char32_t code_point) {
    const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    const auto push_tail = [&](int shift) { push(0x80 | (code_point >> shift & 0x3F)); };
    if (code_point < 0x80) {
        push(code_point);
    } else if (code_point < 0x800) {
        push(0xC0 | code_point >> 6);
        push_tail(0);
    } else if (code_point < 0x10000) {
        push(0xE0 | code_point >> 12);
        push_tail(6);
        push_tail(0);
    } else {
        push(0xF0 | code_point >> 18);
        push_tail(12);
        push_tail(6);
        push_tail(0);
    }
}

std::string replace_invalid_utf8(std::string_view bytes) {
    std::string out;
    for (std::size_t offset = 0; offset < bytes.size();) {
        const Decoded decoded = decode(bytes, offset);
        append_utf8(out, decoded.valid ? decoded.code_point : U'\uFFFD');
        offset += decoded.length;
    }
    return out;
}

bool is_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view strip_left(std::string_view text) {
    for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t here = offset;
        if (!is_space(next_code_point(text, offset))) return text.substr(here);
    }
    return text.substr(text.size());
}

std::string_view strip_right(std::string_view text) {
    std::size_t end = text.size();
    while (end > 0) {
        std::size_t start = end - 1;
        while (start > 0 && (static_cast<std::uint8_t>(text[start]) & 0xC0) == 0x80) --start;
        std::size_t offset = start;
        if (!is_space(next_code_point(text, offset))) break;
        end = start;
    }
    return text.substr(0, end);
}

std::string_view strip(std::string_view text) {
    return strip_left(strip_right(text));
}

std::string to_lower(std::string_view text) {
    std::u32string points;
    points.reserve(text.size());
    for (std::size_t offset = 0; offset < text.size();) points.push_back(next_code_point(text, offset));

    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (points[i] == U'\u0130') {  // capital i with dot above: the only one that becomes two characters
            out += "i\u0307";
        } else if (points[i] == U'\u03A3' && is_final_sigma(points, i)) {
            append_utf8(out, U'\u03C2');
        } else {
            append_utf8(out, simple_lower(points[i]));
        }
    }
    return out;
}

}  // namespace pumice
