#include "cli/table.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pumice::cli {
namespace {

/// Characters, taken as code points.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

}  // namespace

std::string table_text(std::vector<std::vector<std::string>> rows) {
    if (rows.empty()) return {};
    std::vector<bool> right;
    for (std::string& heading : rows.front()) {
        right.push_back(!heading.empty() && heading[0] == '>');
        if (right.back()) heading.erase(0, 1);
    }
    std::vector<std::size_t> widths(right.size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string pad(widths[i] - width(row[i]), ' ');
            line += (i ? "  " : "") + (right[i] ? pad + row[i] : row[i] + pad);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

}  // namespace pumice::cli
