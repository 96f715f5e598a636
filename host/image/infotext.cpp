#include "image/infotext.hpp"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "image/sampler_names.hpp"

namespace pumice::host {
namespace {

using Names = std::pair<std::string_view, std::string_view>;

constexpr std::array<Names, 2> kGenerators{{{"torch-cpu", "CPU"}, {"philox", "NV"}}};

/// The web UI's label. What it has none for goes by its own name.
template <std::size_t n>
std::string label(const OtherNames (&names)[n], const std::string& name) {
    for (const OtherNames& each : names)
        if (each.ours == name && !each.web_ui.empty()) return std::string(each.web_ui);
    return name;
}

template <std::size_t n>
std::string label(const std::array<Names, n>& names, const std::string& name) {
    for (const auto& [ours, theirs] : names)
        if (ours == name) return std::string(theirs);
    return name;
}

/// As infotext_utils.quote: what would break the list becomes a JSON string.
std::string quote(const std::string& text) {
    if (text.find_first_of(",:\n") == std::string::npos) return text;
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// "name: hash, name: hash"; those without a hash are left out, and what the list is made of in the names.
std::string hashes(const std::vector<std::pair<std::string, std::string>>& networks) {
    std::string list;
    for (auto [name, hash] : networks) {
        std::erase_if(name, [](char c) { return c == ':' || c == ','; });
        if (!hash.empty()) list += fmt::format("{}{}: {}", list.empty() ? "" : ", ", name, hash);
    }
    return list;
}

std::string strip(const std::string& text) {
    constexpr std::string_view kSpace = " \t\n\r\f\v";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::string sampler_label(const std::string& name) {
    return label(kSamplerNames, name);
}

std::string infotext(const PictureInfo& info) {
    // The DDIM sampler chooses its own time steps, which the web UI calls "Automatic".
    const std::string schedule = info.sampler == "ddim" ? "Automatic" : label(kScheduleNames, info.schedule);
    std::vector<std::pair<std::string, std::string>> settings = {
        {"Steps", fmt::to_string(info.steps)},
        {"Sampler", label(kSamplerNames, info.sampler)},
        {"Schedule type", schedule},
        {"CFG scale", fmt::format("{}", static_cast<float>(info.guidance_scale))},
        {"Seed", fmt::to_string(info.seed)},
        {"Size", fmt::format("{}x{}", info.width, info.height)},
        {"Model hash", info.model_hash.substr(0, 10)},
        {"Model", info.model_name},
        {"Clip skip", info.clip_skip > 1 ? fmt::to_string(info.clip_skip) : ""},
        {"RNG", label(kGenerators, info.rng)}};
    settings.insert(settings.end(), info.more.begin(), info.more.end());
    // Those of extensions, which the web UI keeps as it finds them.
    settings.emplace_back("Guidance", info.guidance);
    for (const auto& [name, value] : info.guidance_params) settings.emplace_back("Guidance " + name, value);
    for (std::size_t i = 0; i < info.controls.size(); ++i)
        settings.emplace_back(fmt::format("ControlNet {}", i), info.controls[i]);
    settings.emplace_back("Emphasis", info.emphasis);
    settings.emplace_back("Lora hashes", hashes(info.loras));
    settings.emplace_back("TI hashes", hashes(info.embeddings));
    settings.emplace_back("Version", info.version);
    std::string line;
    for (const auto& [name, value] : settings)
        if (!value.empty()) line += fmt::format("{}{}: {}", line.empty() ? "" : ", ", name, quote(value));
    const std::string negative = info.negative_prompt.empty() ? "" : "\nNegative prompt: " + info.negative_prompt;
    return strip(fmt::format("{}{}\n{}", info.prompt, negative, line));
}

}  // namespace pumice::host
