// The texts of --help.
#pragma once

#include <string>
#include <string_view>

namespace pumice::cli {

/// Of a command: "", "generate", "devices", "models", "inspect". Ends with a line end.
std::string help_text(std::string_view command);

}  // namespace pumice::cli
