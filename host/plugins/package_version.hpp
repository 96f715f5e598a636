// Versions of plugins, by Semantic Versioning 2.0.0 (https://semver.org/spec/v2.0.0.html).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pumice::host {

struct Version {
    std::array<std::uint64_t, 3> numbers = {};  ///< major, minor, patch
    std::vector<std::string> before;            ///< "rc.1" as two; empty: a release
    std::string text = "0.0.0";                 ///< as it was written, with what follows a '+'
};

/// Nothing for what is no version; at most 64 characters, and numbers below 2^63.
std::optional<Version> parse_version(std::string_view);

/// Below 0, 0 or above 0: `a` is older than, as old as, newer than `b` (section 11; what follows a '+' does not count).
int compare(const Version& a, const Version& b);

}  // namespace pumice::host
