// Tables that the build makes from pinned npm packages (tools/vocabulary). None is in the repository.
#pragma once

#include <cstdint>
#include <span>

namespace pumice::text_tables {

/// The token ids that one merge of CLIP's byte pair encoding joins; what merge i makes is token 512 + i.
struct MergePair {
    std::uint16_t left, right;
};

/// `name` without the ampersand; with its semicolon, unless HTML lets it stand without one. `text` in UTF-8.
struct HtmlEntity {
    const char* name;
    const char* text;
};

struct LowerCase {
    char32_t from, to;
};

/// first…last, both included.
struct CodePoints {
    char32_t first, last;
};

std::span<const MergePair> clip_merges();      ///< 48894, the first to apply first
std::span<const HtmlEntity> html_entities();   ///< 2231, sorted by name as bytes
std::span<const LowerCase> lower_case();       ///< Unicode 15.0, sorted by `from`; without U+0130, which becomes two
std::span<const CodePoints> cased();           ///< Unicode's property Cased, sorted
std::span<const CodePoints> case_ignorable();  ///< Unicode's property Case_Ignorable, sorted

}  // namespace pumice::text_tables
