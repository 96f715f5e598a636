// What a mistyped word was probably meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pumice::host {

/// "; did you mean WORD?", or nothing when no word is near: one edit for each three letters, at least one (insertion,
/// deletion, replacement, two neighbours swapped).
std::string did_you_mean(std::string_view given, std::span<const std::string_view> words);

}  // namespace pumice::host
