#include "cli/starter.hpp"

#include <fmt/format.h>

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

Expected<fs::path> find_model(const std::string& name, const host::Settings& settings) {
    if (name.empty()) return starter_model();
    std::error_code error;
    if (fs::exists(name, error)) {
        const fs::path path(name);
        return path.has_filename() ? path : path.parent_path();  // a folder's name without its slash
    }
    if (settings.models_folder && name.find('/') == std::string::npos) {
        const fs::path folder(*settings.models_folder);
        for (const char* extension : {"", ".safetensors", ".ckpt", ".pt", ".pth", ".gguf"}) {
            const std::string file = name + extension;
            if (fs::exists(folder / file, error)) return folder / file;
        }
        return Failure{PUMICE_NOT_FOUND,
                       fmt::format("there is no model {}, neither here nor in {}", name, folder.string())};
    }
    return Failure{PUMICE_NOT_FOUND, fmt::format("there is no model file {}", name)};
}

}  // namespace pumice::cli
