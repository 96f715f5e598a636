#include "cli/control_option.hpp"

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/settings.hpp"
#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

struct Choice {
    std::string_view name;
    std::string_view label;  ///< the web UI's
};

// In the order of pumice_control_mode and pumice_resize_mode.
constexpr std::array<Choice, 3> kModes{
    {{"balanced", "Balanced"}, {"prompt", "My prompt is more important"}, {"control", "ControlNet is more important"}}};
constexpr std::array<Choice, 3> kResizes{
    {{"stretch", "Just Resize"}, {"crop", "Crop and Resize"}, {"fill", "Resize and Fill"}}};
constexpr float kMostWeight = 10;

Failure wrong(std::string_view key, std::string_view value, const std::string& wanted) {
    return {PUMICE_INVALID_ARGUMENT, fmt::format("--control: {} {} is not {}", key, host::shown(value), wanted)};
}

Expected<float> number(std::string_view key, std::string_view value, float most) {
    float found = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), found);
    if (error != std::errc() || end != value.data() + value.size() || value.empty() || !(found >= 0 && found <= most))
        return wrong(key, value, fmt::format("a number from 0 to {}", most));
    return found;
}

Expected<int> choice(std::string_view key, std::string_view value, const std::array<Choice, 3>& choices) {
    for (std::size_t i = 0; i < choices.size(); ++i)
        if (choices[i].name == value) return static_cast<int>(i);
    return wrong(key, value, fmt::format("one of {}, {}, {}", choices[0].name, choices[1].name, choices[2].name));
}

Expected<void> set(ControlOption& option, std::string_view key, std::string_view value) {
    embedding::Control& use = option.use;
    const std::pair<std::string_view, std::string*> texts[] = {
        {"model", &use.model}, {"image", &option.image}, {"preprocessor", &use.preprocessor}, {"method", &use.method}};
    for (const auto& [name, text] : texts) {
        if (key != name) continue;
        if (value.empty()) return wrong(key, value, "a name");
        *text = value;
        return {};
    }
    if (key == "weight") {
        HOST_ASSIGN(use.weight, number(key, value, kMostWeight));
    } else if (key == "start") {
        HOST_ASSIGN(use.start, number(key, value, 1));
    } else if (key == "end") {
        HOST_ASSIGN(use.end, number(key, value, 1));
    } else if (key == "mode") {
        HOST_ASSIGN(const int mode, choice(key, value, kModes));
        use.mode = static_cast<pumice_control_mode>(mode);
    } else if (key == "resize") {
        HOST_ASSIGN(const int resize, choice(key, value, kResizes));
        use.resize = static_cast<pumice_resize_mode>(resize);
    } else {
        const std::vector<std::string_view> keys = {"model", "image",  "weight",       "start", "end",
                                                    "mode",  "resize", "preprocessor", "method"};
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--control: there is no {}{}", host::shown(key), host::did_you_mean(key, keys))};
    }
    return {};
}

}  // namespace

Expected<ControlOption> parse_control(std::string_view text) {
    ControlOption option;
    option.text = text;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos)
            return Failure{
                PUMICE_INVALID_ARGUMENT,
                fmt::format("--control: {} is not KEY=VALUE; write model=FILE,image=PNG,weight=1", host::shown(part))};
        HOST_TRY(set(option, part.substr(0, equals), part.substr(equals + 1)));
    }
    if (option.use.model.empty() || option.image.empty())
        return Failure{PUMICE_INVALID_ARGUMENT, "--control: it needs model=FILE and image=PNG"};
    if (option.use.start > option.use.end)
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--control: start {} is after end {}", option.use.start, option.use.end)};
    return option;
}

std::string control_infotext(const ControlOption& option) {
    const embedding::Control& use = option.use;
    return fmt::format(
        "Module: {}, Model: {}, Weight: {}, Resize Mode: {}, Guidance Start: {}, Guidance End: {}, Control "
        "Mode: {}",
        use.preprocessor.empty() ? "none" : use.preprocessor, std::filesystem::path(use.model).stem().string(),
        use.weight, kResizes[use.resize].label, use.start, use.end, kModes[use.mode].label);
}

}  // namespace pumice::cli
