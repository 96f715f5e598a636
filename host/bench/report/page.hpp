// Reports of the benchmark as one page of HTML.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pumice::report {

/// A page that needs nothing beside it: styles inside, charts as SVG, no script; light or dark as the reader's system is.
/// One report or several comparable ones (check_comparable).
std::string page(const std::vector<nlohmann::ordered_json>& reports);

/// Text as it stands in HTML and in its attributes.
std::string escaped(std::string_view text);

}  // namespace pumice::report
