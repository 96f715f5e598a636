#include "cli/adapter_folders.hpp"

#include <charconv>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "cli/model_folders.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

std::optional<float> number(std::string_view text) {
    float value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
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

Expected<LoraOption> lora_option(const std::string& option) {
    // Weights are the last one or two parts; a name may have a colon.
    LoraOption lora{option, {}};
    for (int i = 0; i < 2; ++i) {
        const std::size_t colon = lora.name.rfind(':');
        const auto value =
            colon == std::string::npos ? std::nullopt : number(std::string_view(lora.name).substr(colon + 1));
        if (!value) break;
        lora.text_weight = *value;
        if (i == 0) lora.unet_weight = *value;
        lora.weights = lora.name.substr(colon) + lora.weights;
        lora.name.resize(colon);
    }
    if (const std::size_t colon = lora.name.rfind(':'); colon != std::string::npos && lora.weights.empty())
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--lora: {} is not a weight", host::shown(lora.name.substr(colon + 1)))};
    return lora;
}

Expected<void> add_lora(const std::string& option, std::string& prompt, std::vector<std::string>& folders) {
    HOST_ASSIGN(LoraOption lora, lora_option(option));
    std::string& name = lora.name;
    std::error_code error;
    const fs::path file(name);
    if (fs::is_regular_file(file, error)) {
        const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
        folders.insert(folders.begin(), folder.string());
        name = file.stem().string();
    } else if (file.has_parent_path() && file.is_absolute()) {
        return Failure{PUMICE_NOT_FOUND, fmt::format("there is no LoRA file {}", name)};
    }
    prompt += fmt::format(" <lora:{}{}>", name, lora.weights.empty() ? ":1" : lora.weights);
    return {};
}

}  // namespace pumice::cli
