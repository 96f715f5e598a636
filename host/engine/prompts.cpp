// What is done to a prompt before a request.
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "engine/abi.hpp"
#include "text/wildcards.hpp"

namespace pumice {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kMostBytes = std::uintmax_t(64) << 20;
constexpr std::size_t kMostFiles = 100000;

/// NAME.txt in a folder, or in those in it.
std::optional<fs::path> wildcard_file(const std::string& folder, const std::string& name) {
    std::error_code error;
    const fs::path direct = fs::path(folder) / (name + ".txt");
    if (fs::is_regular_file(direct, error)) return direct;
    if (name.find('/') != std::string::npos) return std::nullopt;
    std::optional<fs::path> first;
    fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
    for (std::size_t seen = 0; !error && it != fs::recursive_directory_iterator() && seen < kMostFiles; ++seen) {
        std::error_code ignored;
        if (it->path().filename() == name + ".txt" && it->is_regular_file(ignored) && (!first || it->path() < *first))
            first = it->path();
        it.increment(error);
    }
    return first;
}

/// Lines that are neither empty nor a comment, without the white space around them.
Result<std::vector<std::string>> read_lines(const fs::path& file) {
    std::error_code error;
    if (fs::file_size(file, error) > kMostBytes)
        return Error{Code::bad_format, fmt::format("{}: too large for a wildcard", file.string())};
    std::ifstream in(file, std::ios::binary);
    if (!in) return Error{Code::io, fmt::format("{}: cannot be read", file.string())};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string::npos || line[first] == '#') continue;
        lines.push_back(line.substr(first, line.find_last_not_of(" \t\r") - first + 1));
    }
    return lines;
}

Result<std::string> expand(const std::string& prompt, std::uint64_t seed, const std::vector<std::string>& folders) {
    return expand_wildcards(prompt, seed, [&](const std::string& name) -> Result<std::vector<std::string>> {
        // A prompt comes from anywhere, and may not reach files outside.
        if (name.find("..") != std::string::npos || name.starts_with('/'))
            return Error{Code::invalid_argument, fmt::format("the wildcard '{}' leaves its folder", name)};
        for (const std::string& folder : folders)
            if (const auto file = wildcard_file(folder, name)) return read_lines(*file);
        return Error{Code::not_found, fmt::format("there is no wildcard {}.txt in {}", name, fmt::join(folders, ", "))};
    });
}

}  // namespace
}  // namespace pumice

extern "C" pumice_status pumice_expand_wildcards(const char* prompt, uint64_t seed, const char* const* folders,
                                                 size_t folder_count, char** expanded, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!expanded) return pumice::Error{pumice::Code::invalid_argument, "expanded is NULL"};
        *expanded = nullptr;
        PUMICE_ASSIGN(const auto all, pumice::abi::read_texts(folders, folder_count, "folders"));
        PUMICE_ASSIGN(const std::string text, pumice::expand(pumice::abi::text_or_empty(prompt), seed, all));
        *expanded = pumice::abi::text_to_caller(text);
        return {};
    });
}
