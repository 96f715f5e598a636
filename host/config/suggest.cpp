#include "config/suggest.hpp"

#include <algorithm>
#include <vector>

namespace pumice::host {
namespace {

/// Restricted Damerau-Levenshtein distance (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view given, std::span<const std::string_view> words) {
    constexpr std::size_t kLongest = 64;  // nobody mistypes more, and the distance takes the product of lengths
    if (given.size() > kLongest) return {};
    const std::size_t allowed = std::max<std::size_t>(1, given.size() / 3);
    std::string_view best;
    std::size_t nearest = allowed + 1;
    for (const std::string_view word : words)
        if (const std::size_t d = distance(given, word); d < nearest) {
            nearest = d;
            best = word;
        }
    return best.empty() ? "" : "; did you mean " + std::string(best) + "?";
}

}  // namespace pumice::host
