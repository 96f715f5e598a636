#include "config/styles.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPlace = "{prompt}";
constexpr std::uintmax_t kMostBytes = std::uintmax_t(64) << 20;

std::string strip(const std::string& text) {
    constexpr std::string_view kSpace = " \t\n\r\f\v";
    const std::size_t first = text.find_first_not_of(kSpace);
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string merged(const std::string& style, const std::string& prompt) {
    if (style.find(kPlace) == std::string::npos) {
        const std::string a = strip(prompt), b = strip(style);
        return a + (a.empty() || b.empty() ? "" : ", ") + b;
    }
    std::string result;
    for (std::string_view rest = style;;) {
        const std::size_t at = rest.find(kPlace);
        result += rest.substr(0, at);
        if (at == std::string_view::npos) return result;
        result += prompt;
        rest.remove_prefix(at + kPlace.size());
    }
}

}  // namespace

Expected<std::vector<std::vector<std::string>>> parse_csv(std::string_view text, const std::string& file_name) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> row;
    std::string field;
    std::size_t line = 1, opened = 0;  // opened: the line of the quote that is open
    bool any = false;                  // something of a row has been read
    const auto end_row = [&] {
        row.push_back(std::move(field));
        field.clear();
        rows.push_back(std::move(row));
        row.clear();
        any = false;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') ++line;
        if (opened > 0) {
            if (c != '"')
                field += c;
            else if (i + 1 < text.size() && text[i + 1] == '"')
                field += text[++i];
            else
                opened = 0;
            continue;
        }
        if (c == '"' && field.empty()) {
            opened = line;
            any = true;
        } else if (c == ',') {
            row.push_back(std::move(field));
            field.clear();
            any = true;
        } else if (c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n')) {
            if (c == '\r') ++i, ++line;
            if (any) end_row();
        } else {
            field += c;
            any = true;
        }
    }
    if (opened > 0)
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}:{}: a quote that is never closed", file_name, opened)};
    if (any) end_row();
    return rows;
}

Expected<std::vector<Style>> read_styles(const fs::path& file) {
    std::error_code error;
    if (!fs::is_regular_file(file, error))
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no file of styles {}", file.string())};
    if (fs::file_size(file, error) > kMostBytes)
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: too large for styles", file.string())};
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in) return Failure{PUMICE_IO, fmt::format("{}: cannot be read", file.string())};
    HOST_ASSIGN(const auto rows, parse_csv(text, file.string()));
    const auto column = [&](std::string_view name) {
        return static_cast<std::size_t>(std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin());
    };
    if (rows.empty() || column("name") == rows[0].size())
        return Failure{PUMICE_BAD_FORMAT,
                       fmt::format("{}: no styles: its first line must be name,prompt,negative_prompt", file.string())};
    const std::size_t prompt = column("prompt") < rows[0].size() ? column("prompt") : column("text");
    std::vector<Style> styles;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto field = [&](std::size_t at) { return at < rows[i].size() ? rows[i][at] : std::string(); };
        styles.push_back({field(column("name")), field(prompt), field(column("negative_prompt"))});
    }
    return styles;
}

void apply_style(const Style& style, std::string& prompt, std::string& negative_prompt) {
    prompt = merged(style.prompt, prompt);
    negative_prompt = merged(style.negative_prompt, negative_prompt);
}

}  // namespace pumice::host
