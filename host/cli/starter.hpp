// Where files lie that come with the program, and where a model's name leads.
#pragma once

#include <filesystem>
#include <string>

#include "cli/model_folders.hpp"
#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// share/pumice/starter.safetensors beside the program's bin/. PUMICE_NOT_FOUND when it is not installed.
Expected<std::filesystem::path> starter_model();

/// The file or folder of a model as a user names it: a path, or a name, hash or title in settings.models_folders
/// (choose_model); the starter model when there is no name. PUMICE_NOT_FOUND, PUMICE_INVALID_ARGUMENT as choose_model.
Expected<std::filesystem::path> find_model(const std::string& name, const host::Settings&,
                                           ModelKind kind = ModelKind::checkpoint);

/// Where facts of models are kept: below paths.cache.
ModelCache model_cache(const host::Settings&);

}  // namespace pumice::cli
