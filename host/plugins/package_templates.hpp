// The files of sdk/template, which the build puts into the program (package.cmake).
#pragma once

#include <string_view>

namespace pumice::host {

/// "plugin.c" for sdk/template/plugin.c.in; "" for one that is none.
std::string_view project_template(std::string_view name);

}  // namespace pumice::host
