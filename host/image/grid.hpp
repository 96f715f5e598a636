// Many pictures as one, in rows and columns with what they differ in beside them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "image/png.hpp"

namespace pumice::host {

struct Grid {
    /// Labels, UTF-8; of one column, row or page there need be none (empty vector).
    std::vector<std::string> columns, rows, pages;
    /// RGB, of any size: page by page, row by row.
    std::vector<DecodedImage> cells;
    std::size_t column_count() const { return columns.empty() ? 1 : columns.size(); }
    std::size_t row_count() const { return rows.empty() ? 1 : rows.size(); }
    std::size_t page_count() const { return pages.empty() ? 1 : pages.size(); }
};

/// Pages one below the other, black text on white, in a font of the system that has the characters. RGB.
/// PUMICE_INVALID_ARGUMENT when a side would have more than 32767 pixels; PUMICE_OUT_OF_MEMORY.
Expected<DecodedImage> draw_grid(const Grid&);

}  // namespace pumice::host
