#include "cli/starter.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;

Expected<fs::path> starter_model() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    const fs::path file = (program.parent_path() / PUMICE_DATA_FROM_BIN / "starter.safetensors").lexically_normal();
    if (!error && fs::exists(file, error)) return file;
    return Failure{PUMICE_NOT_FOUND,
                   fmt::format("the starter model is not installed ({}); name a model with -m FILE", file.string())};
}

ModelCache model_cache(const host::Settings& settings) {
    return ModelCache(settings.cache_folder.value_or(""));
}

Expected<fs::path> find_model(const std::string& name, const host::Settings& settings, ModelKind kind) {
    if (name.empty()) return starter_model();
    std::error_code error;
    if (fs::exists(name, error)) {
        const fs::path path(name);
        return path.has_filename() ? path : path.parent_path();  // a folder's name without its slash
    }
    const bool absolute = name.starts_with('/') || name.starts_with("./") || name.starts_with("../");
    if (!settings.models_folders || absolute)
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no model file {}", name)};
    ModelCache cache = model_cache(settings);
    const std::vector<ModelEntry> entries = list_models(*settings.models_folders);
    auto found = choose_model(name, kind, entries, cache, fmt::format("{}", fmt::join(*settings.models_folders, ", ")));
    cache.save();
    return found;
}

}  // namespace pumice::cli
