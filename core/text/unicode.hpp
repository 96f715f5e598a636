// UTF-8 and the few Unicode properties that the tokenizer needs, as Python has them: the reference tokenizer is Python.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace pumice {

/// Code::invalid_argument naming the offset of the first byte that is not UTF-8 (overlong forms and surrogates are
/// not).
Status check_utf8(std::string_view text);

/// Reads the code point at `offset` of valid UTF-8, and moves `offset` past it. `offset` must be below the size.
char32_t next_code_point(std::string_view text, std::size_t& offset);

/// Appends `code_point` (not a surrogate, at most U+10FFFF) as UTF-8.
void append_utf8(std::string& text, char32_t code_point);

/// Bytes that are not UTF-8 become U+FFFD, one for each maximal ill-formed part (The Unicode Standard, section 3.9).
std::string replace_invalid_utf8(std::string_view bytes);

/// Python's str.isspace() of one character: Unicode's White_Space and the separators U+001C…U+001F.
bool is_space(char32_t code_point);

/// Python's str.strip(), of valid UTF-8.
std::string_view strip(std::string_view text);
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);

/// Python's str.lower(), of valid UTF-8: Unicode 15.0's full lower case with its rule for the final sigma.
std::string to_lower(std::string_view text);

}  // namespace pumice
