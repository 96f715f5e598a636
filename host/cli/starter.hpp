// Where files lie that come with the program, and where a model's name leads.
#pragma once

#include <filesystem>
#include <string>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// share/pumice/starter.safetensors beside the program's bin/. PUMICE_NOT_FOUND when it is not installed.
Expected<std::filesystem::path> starter_model();

/// The file or folder of a model as a user names it: a path, or a name in settings.models_folder with or without its
/// extension; the starter model when there is no name. PUMICE_NOT_FOUND says where it was looked for.
Expected<std::filesystem::path> find_model(const std::string& name, const host::Settings&);

}  // namespace pumice::cli
