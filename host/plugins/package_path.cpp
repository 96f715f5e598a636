#include "plugins/package_path.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace pumice::host {
namespace {

constexpr std::size_t kLongestPath = 200;
constexpr std::size_t kLongestId = 64;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Windows opens the device whatever follows the first dot.
bool is_device_name(std::string_view part) {
    const std::string stem = fold_case(part.substr(0, part.find('.')));
    constexpr std::array<std::string_view, 4> kDevices = {"con", "prn", "aux", "nul"};
    if (std::find(kDevices.begin(), kDevices.end(), stem) != kDevices.end()) return true;
    return stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem[3] >= '0' && stem[3] <= '9';
}

bool is_portable(std::string_view part) {
    for (const char c : part)
        if (c < 0x20 || c > 0x7E || std::string_view("\\:*?\"<>|").find(c) != std::string_view::npos) return false;
    return !part.empty() && part.back() != '.' && part.back() != ' ' && !is_device_name(part);
}

}  // namespace

Packaged<Done> check_path(std::string_view path) {
    const std::string shown = printable(path);
    const bool drive = path.size() > 1 && path[1] == ':';
    if (path.starts_with('/') || path.starts_with('\\') || drive)
        return PackageFailure(Refusal::absolute,
                              fmt::format("{}: an absolute name; a package holds files of its own folder only", shown));
    std::string slashes(path);
    std::replace(slashes.begin(), slashes.end(), '\\', '/');
    if (("/" + slashes + "/").find("/../") != std::string::npos)
        return PackageFailure(Refusal::traversal, fmt::format("{}: this name leads out of the package", shown));
    if (path.empty() || path.size() > kLongestPath)
        return PackageFailure(Refusal::name,
                              fmt::format("{}: names in a package have 1 to {} characters", shown, kLongestPath));
    for (std::string_view rest = path;;) {
        const std::size_t slash = rest.find('/');
        if (!is_portable(rest.substr(0, slash)))
            return PackageFailure(Refusal::name,
                                  fmt::format("{}: not every system can hold a file of this name; use letters, digits, "
                                              "'_', '-' and '.'",
                                              shown));
        if (slash == std::string_view::npos) return Done{};
        rest.remove_prefix(slash + 1);
    }
}

std::string fold_case(std::string_view path) {
    std::string folded(path);
    std::transform(folded.begin(), folded.end(), folded.begin(), lower);
    return folded;
}

bool is_plugin_id(std::string_view id) {
    if (id.size() > kLongestId || id.empty() || id[0] < 'a' || id[0] > 'z') return false;
    const bool letters = std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    });
    return letters && id.find("..") == std::string_view::npos && id.find('/') == std::string_view::npos &&
           static_cast<bool>(check_path(id));
}

}  // namespace pumice::host
