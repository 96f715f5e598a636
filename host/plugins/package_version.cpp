#include "plugins/package_version.hpp"

#include <algorithm>

namespace pumice::host {
namespace {

constexpr std::size_t kLongest = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Without leading zeros.
std::optional<std::uint64_t> number(std::string_view text) {
    constexpr std::size_t kDigits = 18;  // so that no sum overflows
    if (!is_number(text) || text.size() > kDigits || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
}

bool is_identifier(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    });
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    for (;;) {
        const std::size_t dot = text.find('.');
        parts.emplace_back(text.substr(0, dot));
        if (dot == std::string_view::npos) return parts;
        text.remove_prefix(dot + 1);
    }
}

int sign(bool less, bool greater) {
    return less ? -1 : greater ? 1 : 0;
}

/// Numbers by value and below words, words by their bytes. Numbers have no leading zeros: the longer one is larger.
int compare_identifiers(const std::string& a, const std::string& b) {
    const bool a_number = is_number(a), b_number = is_number(b);
    if (a_number != b_number) return a_number ? -1 : 1;
    if (a_number && a.size() != b.size()) return sign(a.size() < b.size(), true);
    return sign(a<b, a> b);
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
    if (text.size() > kLongest) return std::nullopt;
    Version version;
    version.text = text;
    if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
        for (const std::string& part : split(text.substr(plus + 1)))
            if (!is_identifier(part)) return std::nullopt;
        text = text.substr(0, plus);
    }
    if (const std::size_t minus = text.find('-'); minus != std::string_view::npos) {
        version.before = split(text.substr(minus + 1));
        for (const std::string& part : version.before)
            if (!is_identifier(part) || (is_number(part) && part.size() > 1 && part[0] == '0')) return std::nullopt;
        text = text.substr(0, minus);
    }
    const std::vector<std::string> numbers = split(text);
    if (numbers.size() != version.numbers.size()) return std::nullopt;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto value = number(numbers[i]);
        if (!value) return std::nullopt;
        version.numbers[i] = *value;
    }
    return version;
}

int compare(const Version& a, const Version& b) {
    if (a.numbers != b.numbers) return a.numbers < b.numbers ? -1 : 1;
    if (a.before.empty() != b.before.empty()) return a.before.empty() ? 1 : -1;
    for (std::size_t i = 0; i < std::min(a.before.size(), b.before.size()); ++i)
        if (const int order = compare_identifiers(a.before[i], b.before[i])) return order;
    return sign(a.before.size() < b.before.size(), a.before.size() > b.before.size());
}

}  // namespace pumice::host
