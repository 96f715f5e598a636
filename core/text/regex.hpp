// A compiled PCRE2 pattern over UTF-8 with Unicode's properties.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice {

class Regex {
public:
    struct Match {
        std::size_t begin, end;  ///< byte offsets; begin < end
    };

    /// `caseless`: by Unicode's simple case folding. Code::internal for a pattern that does not compile.
    static Result<Regex> compile(std::string_view pattern, bool caseless = false);

    /// The matches that are not empty, from left to right, none overlapping. `text` must be valid UTF-8. Any thread.
    Result<std::vector<Match>> find_all(std::string_view text) const;

private:
    explicit Regex(std::shared_ptr<const void> code) : code_(std::move(code)) {}

    std::shared_ptr<const void> code_;  ///< a pcre2_code, whose header stays out of ours
};

}  // namespace pumice
