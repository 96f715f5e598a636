// Prompts of which each seed makes its own: `__name__` and `{a|b}`, as the wildcards and dynamic-prompts extensions of
// AUTOMATIC1111's web UI read them (github.com/adieyal/sd-dynamic-prompts, its SYNTAX.md).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// The lines of a wildcard's file; Code::not_found when there is none of that name.
using WildcardLines = std::function<Result<std::vector<std::string>>(const std::string& name)>;

/// Replaces, from left to right and in what was put in too:
///   `__name__`           one of the wildcard's lines
///   `{a|b|c}`            one of these; `{0.5::a|2::b}` with these chances
///   `{2$$a|b|c}`         two of them, joined by ", "; `{1-3$$a|b|c}` one to three; `{2$$ and $$a|b}` joined by " and "
/// `\{`, `\|` and `\}` are those characters; a brace that is never closed is text. The same seed gives the same prompt
/// on every machine (SplitMix64). Code::invalid_argument for what nests more than 30 deep or becomes longer than
/// largest_prompt_bytes; errors of `lines`.
Result<std::string> expand_wildcards(std::string_view prompt, std::uint64_t seed, const WildcardLines& lines);

}  // namespace pumice
