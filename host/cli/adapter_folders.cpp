#include "cli/adapter_folders.hpp"

#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "cli/model_folders.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

bool is_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string> folders_of(const host::Settings& settings, ModelKind kind) {
    std::vector<std::string> folders;
    if (settings.models_folders)
        for (const fs::path& folder : cli::folders_of(*settings.models_folders, kind)) folders.push_back(folder.string());
    return folders;
}

}  // namespace

std::vector<std::string> lora_folders(const host::Settings& settings) {
    return settings.loras_folder ? std::vector{*settings.loras_folder} : folders_of(settings, ModelKind::lora);
}

std::vector<std::string> embedding_folders(const host::Settings& settings) {
    return settings.embeddings_folder ? std::vector{*settings.embeddings_folder}
                                      : folders_of(settings, ModelKind::embedding);
}

Expected<void> add_lora(const std::string& option, std::string& prompt, std::vector<std::string>& folders) {
    // Weights are the last one or two parts; a name may have a colon.
    std::string name = option, weights;
    for (int i = 0; i < 2; ++i) {
        const std::size_t colon = name.rfind(':');
        if (colon == std::string::npos || !is_number(std::string_view(name).substr(colon + 1))) break;
        weights = name.substr(colon) + weights;
        name.resize(colon);
    }
    if (const std::size_t colon = name.rfind(':'); colon != std::string::npos && weights.empty())
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--lora: {} is not a weight", host::shown(name.substr(colon + 1)))};
    std::error_code error;
    const fs::path file(name);
    if (fs::is_regular_file(file, error)) {
        const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
        folders.insert(folders.begin(), folder.string());
        name = file.stem().string();
    } else if (file.has_parent_path() && file.is_absolute()) {
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no LoRA file {}", name)};
    }
    prompt += fmt::format(" <lora:{}{}>", name, weights.empty() ? ":1" : weights);
    return {};
}

}  // namespace pumice::cli
