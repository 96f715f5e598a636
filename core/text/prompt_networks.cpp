#include "text/prompt_networks.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace pumice {
namespace {

constexpr double kMostWeight = 1000;

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<float> weight(std::string_view text) {
    text = trimmed(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= kMostWeight))
        return std::nullopt;
    return static_cast<float>(value);
}

/// What stands between the brackets; nothing when it is no network.
Result<std::optional<PromptNetwork>> network(std::string_view inside) {
    const std::size_t colon = inside.find(':');
    const std::string_view kind = inside.substr(0, colon);
    if (colon == std::string_view::npos || (kind != "lora" && kind != "lyco" && kind != "hypernet"))
        return std::optional<PromptNetwork>();
    PromptNetwork found{kind == "hypernet" ? "hypernet" : "lora", {}, 1, 1};
    std::size_t position = 0;
    for (std::string_view rest = inside.substr(colon + 1);;) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        std::string_view item = rest.substr(0, end);
        const std::size_t equals = item.find('=');
        const std::string_view key =
            position > 0 && equals != std::string_view::npos ? trimmed(item.substr(0, equals)) : "";
        if (!key.empty()) item = item.substr(equals + 1);
        if (position == 0) {
            found.name = std::string(item);
        } else if (key.empty() ? position <= 2 : key == "te" || key == "unet") {
            const auto value = weight(item);
            if (!value)
                return Error{Code::invalid_argument, "the prompt's <" + std::string(inside.substr(0, 100)) +
                                                         ">: a weight must be a number from -1000 to 1000"};
            if (key.empty() ? position == 1 : key == "te") found.text = *value;
            // One weight is that of both.
            if (key.empty() || key == "unet") found.unet = *value;
        }
        if (key.empty()) ++position;
        if (end == rest.size()) break;
        rest.remove_prefix(end + 1);
    }
    if (found.name.empty())
        return Error{Code::invalid_argument, "the prompt's <" + std::string(inside.substr(0, 100)) + "> names nothing"};
    return std::optional(std::move(found));
}

}  // namespace

Result<PromptWithNetworks> take_networks(std::string_view prompt) {
    PromptWithNetworks result;
    while (true) {
        const std::size_t open = prompt.find('<'), close = prompt.find('>', open == std::string_view::npos ? 0 : open);
        if (open == std::string_view::npos || close == std::string_view::npos) break;
        const std::string_view inside = prompt.substr(open + 1, close - open - 1);
        PUMICE_ASSIGN(auto found, network(inside));
        // "<a <lora:b>": the bracket before is text.
        const std::size_t end = found ? close + 1 : open + 1;
        result.text += prompt.substr(0, found ? open : end);
        if (found) result.networks.push_back(*std::move(found));
        prompt.remove_prefix(end);
    }
    result.text += prompt;
    return result;
}

}  // namespace pumice
