// Reports of the benchmark as text for people.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pumice::report {

/// "1.23 s", "45.6 ms".
std::string seconds_text(double seconds);
/// "llvmpipe (Mesa 22.3.6)", with the precision: what a report's columns are called.
std::string title(const nlohmann::ordered_json& report);

/// One report: device, peaks, a line a profile, what is wrong.
std::string report_text(const nlohmann::ordered_json& report);
/// Several, side by side: seconds a picture, and how many times as fast as the first.
std::string comparison_text(const std::vector<nlohmann::ordered_json>& reports);

}  // namespace pumice::report
