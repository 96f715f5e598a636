// Styles: prompts to be put around others, in AUTOMATIC1111's styles.csv (modules/styles.py there).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pumice/pumice.hpp"

namespace pumice::host {

struct Style {
    std::string name, prompt, negative_prompt;
};

/// Rows of fields as RFC 4180 has them: fields in quotes may hold commas, line ends and doubled quotes. A byte order
/// mark is skipped. PUMICE_BAD_FORMAT for a quote that is never closed, naming the line.
Expected<std::vector<std::vector<std::string>>> parse_csv(std::string_view text, const std::string& file_name);

/// The styles of a file whose first row names the columns: name, prompt, negative_prompt (in older files `text` for
/// prompt). PUMICE_NOT_FOUND, PUMICE_IO, PUMICE_BAD_FORMAT.
Expected<std::vector<Style>> read_styles(const std::filesystem::path&);

/// Puts a style around both prompts: in place of "{prompt}" in it, else the style's follows after a comma.
void apply_style(const Style&, std::string& prompt, std::string& negative_prompt);

}  // namespace pumice::host
