// Columns for people.
#pragma once

#include <string>
#include <vector>

namespace pumice::cli {

/// Rows of cells, the first the heading; each column as wide as its widest cell, two spaces between. Columns whose
/// heading starts with '>' are set to the right.
std::string table_text(std::vector<std::vector<std::string>> rows);

}  // namespace pumice::cli
