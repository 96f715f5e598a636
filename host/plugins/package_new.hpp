// A project to start a plugin from: it builds out of the tree against the installed SDK, and works as it is.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "plugins/package_outcome.hpp"

namespace pumice::host {

/// What a project can be made for: "sampler".
std::span<const std::string_view> project_kinds();

/// Writes PARENT/NAME/ with CMakeLists.txt, NAME.c, plugin.toml and LICENSE. `name` is a lower-case letter, then those,
/// digits and '_', at most 32: also the name of what the plugin brings. PUMICE_INVALID_ARGUMENT for another name or
/// kind, PUMICE_IO, also when there is something of that name.
Packaged<Done> write_project(const std::filesystem::path& parent, const std::string& name, const std::string& kind);

}  // namespace pumice::host
