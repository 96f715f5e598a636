#include "cli/adapter_folders.hpp"

#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

bool is_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::vector<std::string> lora_folders(const host::Settings& settings) {
    if (settings.loras_folder) return {*settings.loras_folder};
    std::vector<std::string> folders;
    if (!settings.models_folder) return folders;
    const fs::path models(*settings.models_folder);
    for (const fs::path& root : {models, models.parent_path()})
        for (const char* name : {"Lora", "loras", "LyCORIS"}) {
            std::error_code error;
            if (fs::is_directory(root / name, error)) folders.push_back((root / name).string());
        }
    return folders;
}

std::vector<std::string> embedding_folders(const host::Settings& settings) {
    if (settings.embeddings_folder) return {*settings.embeddings_folder};
    std::vector<std::string> folders;
    if (!settings.models_folder) return folders;
    const fs::path models(*settings.models_folder);
    for (const fs::path& root : {models, models.parent_path(), models.parent_path().parent_path()}) {
        std::error_code error;
        if (fs::is_directory(root / "embeddings", error)) folders.push_back((root / "embeddings").string());
    }
    return folders;
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
