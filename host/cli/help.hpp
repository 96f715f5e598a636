// The texts of --help.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pumice::cli {

/// The names that "generate", "upscale" and "preprocess" tell.
struct HelpNames {
    std::vector<std::string_view> samplers, schedules, guidances, upscalers, preprocessors, filters;
};

/// Of a command: "", "generate", "upscale", "preprocess", "devices", "models", "inspect", "plugins". Ends with a line
/// end.
std::string help_text(std::string_view command, const HelpNames& names = {});

}  // namespace pumice::cli
