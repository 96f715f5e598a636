#include "text/wildcards.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/prompt.hpp"

namespace pumice {
namespace {

constexpr int kMostNesting = 30;
constexpr std::uint32_t kMostChoices = 100;
constexpr int kMostReplacements = 10000;  ///< a wildcard that names itself twice would never end

template <class Number>
std::optional<Number> number(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Steele, Lea, Flood 2014.
class SplitMix64 {
public:
    explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    /// In [0, 1).
    double share() { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    std::uint64_t state_;
};

/// For each brace that opens the place of the one that closes it; npos elsewhere, and where it is never closed.
std::vector<std::size_t> closings(std::string_view text) {
    std::vector<std::size_t> ends(text.size(), std::string_view::npos), open;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '{') {
            open.push_back(i);
        } else if (text[i] == '}' && !open.empty()) {
            ends[open.back()] = i;
            open.pop_back();
        }
    }
    return ends;
}

/// At the bars that stand in no braces of their own.
std::vector<std::string_view> split_at_bars(std::string_view text) {
    std::vector<std::string_view> parts;
    int depth = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == '{')
            ++depth;
        else if (text[i] == '}')
            --depth;
        else if (text[i] == '|' && depth == 0) {
            parts.push_back(text.substr(begin, i - begin));
            begin = i + 1;
        }
    }
    parts.push_back(text.substr(begin));
    return parts;
}

struct Choice {
    std::uint32_t least = 1, most = 1;
    std::string_view joint = ", ";
    std::vector<std::string_view> options;
    std::vector<double> chances;
};

/// "2$$", "1-3$$", "2$$ and $$" before the options.
void take_counts(std::string_view& inside, Choice& choice) {
    const std::size_t end = inside.find("$$");
    if (end == std::string_view::npos) return;
    const std::string_view counts = inside.substr(0, end);
    const std::size_t dash = counts.find('-');
    const auto least = number<std::uint32_t>(counts.substr(0, dash));
    const auto most = dash == std::string_view::npos ? least : number<std::uint32_t>(counts.substr(dash + 1));
    if (!least || !most || *least > *most || *most > kMostChoices) return;
    choice.least = *least;
    choice.most = *most;
    inside.remove_prefix(end + 2);
    const std::size_t joint = inside.find("$$"), bar = inside.find('|');
    if (joint == std::string_view::npos || joint > bar) return;
    choice.joint = inside.substr(0, joint);
    inside.remove_prefix(joint + 2);
}

Choice read_choice(std::string_view inside) {
    Choice choice;
    take_counts(inside, choice);
    for (std::string_view option : split_at_bars(inside)) {
        double chance = 1;
        if (const std::size_t colons = option.find("::"); colons != std::string_view::npos)
            if (const auto given = number<double>(option.substr(0, colons)); given && *given >= 0 && *given <= 1e6) {
                chance = *given;
                option.remove_prefix(colons + 2);
            }
        choice.options.push_back(option);
        choice.chances.push_back(chance);
    }
    return choice;
}

class Expander {
public:
    Expander(std::uint64_t seed, const WildcardLines& lines) : random_(seed), lines_(lines) {}

    Status expand(std::string_view text, int depth) {
        if (depth > kMostNesting)
            return Error{Code::invalid_argument, "the prompt's wildcards and choices nest more than 30 deep"};
        const std::vector<std::size_t> ends = closings(text);
        for (std::size_t i = 0; i < text.size();) {
            if (out_.size() > largest_prompt_bytes)
                return Error{Code::invalid_argument, "the prompt's wildcards and choices make it longer than " +
                                                         std::to_string(largest_prompt_bytes) + " bytes"};
            if (text[i] == '\\' && i + 1 < text.size() &&
                std::string_view("{|}").find(text[i + 1]) != std::string::npos) {
                out_ += text[i + 1];
                i += 2;
            } else if (const std::size_t end = ends[i]; end != std::string_view::npos) {
                PUMICE_TRY(choose(text.substr(i + 1, end - i - 1), depth));
                i = end + 1;
            } else if (const std::string name = wildcard(text.substr(i)); !name.empty()) {
                PUMICE_TRY(draw(name, depth));
                i += name.size() + 4;
            } else {
                out_ += text[i++];
            }
        }
        return {};
    }
    std::string result() && { return std::move(out_); }

private:
    /// The name of the wildcard that a text begins with, or "".
    static std::string wildcard(std::string_view text) {
        if (!text.starts_with("__")) return {};
        const std::size_t end = text.find("__", 3);
        if (end == std::string_view::npos) return {};
        const std::string name(text.substr(2, end - 2));
        const auto fits = [](unsigned char c) {
            return std::string_view("-_/. ").find(static_cast<char>(c)) != std::string::npos || c >= 0x80 ||
                   (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        };
        return std::all_of(name.begin(), name.end(), fits) && name.front() != ' ' ? name : std::string();
    }

    Status count() {
        if (++replacements_ <= kMostReplacements) return {};
        return Error{Code::invalid_argument, "the prompt's wildcards and choices do not end: does one name itself?"};
    }

    Status draw(const std::string& name, int depth) {
        PUMICE_TRY(count());
        PUMICE_ASSIGN(const std::vector<std::string> lines, lines_(name));
        if (lines.empty()) return Error{Code::invalid_argument, "the wildcard '" + name + "' has no lines"};
        const auto at = static_cast<std::size_t>(random_.share() * static_cast<double>(lines.size()));
        return expand(lines[std::min(at, lines.size() - 1)], depth + 1);
    }

    Status choose(std::string_view inside, int depth) {
        PUMICE_TRY(count());
        Choice choice = read_choice(inside);
        const auto span = static_cast<double>(choice.most - choice.least + 1);
        std::size_t wanted = choice.least + static_cast<std::size_t>(random_.share() * span);
        for (bool first = true; wanted > 0 && !choice.options.empty(); --wanted, first = false) {
            double sum = 0;
            for (const double chance : choice.chances) sum += chance;
            double left = random_.share() * sum;
            std::size_t at = 0;
            while (at + 1 < choice.options.size() && left >= choice.chances[at]) left -= choice.chances[at++];
            if (!first) out_ += choice.joint;
            PUMICE_TRY(expand(choice.options[at], depth + 1));
            choice.options.erase(choice.options.begin() + static_cast<std::ptrdiff_t>(at));
            choice.chances.erase(choice.chances.begin() + static_cast<std::ptrdiff_t>(at));
        }
        return {};
    }

    SplitMix64 random_;
    const WildcardLines& lines_;
    std::string out_;
    int replacements_ = 0;
};

}  // namespace

Result<std::string> expand_wildcards(std::string_view prompt, std::uint64_t seed, const WildcardLines& lines) {
    if (prompt.size() > largest_prompt_bytes)
        return Error{Code::invalid_argument, "the prompt has " + std::to_string(prompt.size()) + " bytes; at most " +
                                                 std::to_string(largest_prompt_bytes) + " are allowed"};
    Expander expander(seed, lines);
    PUMICE_TRY(expander.expand(prompt, 0));
    return std::move(expander).result();
}

}  // namespace pumice
