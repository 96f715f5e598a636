#include "cli/axis.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <regex>

#include <fmt/format.h>

#include "outcome.hpp"

namespace pumice::cli {
namespace {

using host::Setting;

bool is_param(std::string_view name) {
    return name.find('.') != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

/// As spreadsheets save a line.
std::vector<std::string> separated(std::string_view text) {
    std::vector<std::string> values(1);
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"')
            values.back() += text[++i];
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == ',' && !quoted)
            values.emplace_back();
        else
            values.back() += text[i];
    }
    for (std::string& value : values) value = std::string(trimmed(value));
    return values;
}

double number_of(const std::string& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// What a range stands for, or nothing where `text` is none; no more than Axis::most and one.
std::optional<std::vector<double>> range(const std::string& text) {
    static const std::regex form(R"(^(-?[0-9.]+)\s*-\s*(-?[0-9.]+)(?:\s*\(\+([0-9.]+)\)|\s*\[([0-9]+)\])?$)");
    std::smatch found;
    if (!std::regex_match(text, found, form)) return std::nullopt;
    const double first = number_of(found[1]), last = number_of(found[2]);
    std::vector<double> values;
    if (found[4].matched) {
        const double count = std::min(number_of(found[4]), Axis::most + 1.0);
        for (double i = 0; i < count; ++i) values.push_back(count > 1 ? first + (last - first) * i / (count - 1) : first);
        return values;
    }
    const double step = found[3].matched ? number_of(found[3]) : 1;
    if (!(step > 0) || last < first) return std::nullopt;
    // Half a thousandth of a step more, for sums that are not exact.
    for (double i = 0; first + i * step <= last + step / 2000 && values.size() <= Axis::most; ++i)
        values.push_back(first + i * step);
    return values;
}

std::string text_of(double value, bool whole) {
    return whole ? fmt::format("{:.0f}", std::round(value)) : fmt::format("{:.6g}", value);
}

}  // namespace

Expected<Axis> parse_axis(std::string_view text, const std::string& where) {
    const std::size_t equals = text.find('=');
    Axis axis{std::string(trimmed(text.substr(0, equals))), {}};
    const Setting* const setting = is_param(axis.name) ? nullptr : host::find_flag("--" + axis.name);
    const bool known = setting || is_param(axis.name) || axis.name == "prompt";
    if (equals == std::string_view::npos || !known || axis.name == "batch" || axis.name == "count")
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("{}: {} is not NAME=VALUE,..., where NAME is an option of generate that takes a value, "
                                   "prompt, or a parameter as sampler.eta",
                                   where, host::shown(text))};
    using Kind = Setting::Kind;
    const bool whole = setting && (setting->kind == Kind::whole || setting->kind == Kind::seed);
    for (const std::string& value : separated(text.substr(equals + 1))) {
        const bool number = whole || !setting || setting->kind == Kind::real;
        if (const auto numbers = number && axis.name != "prompt" ? range(value) : std::nullopt) {
            for (const double each : *numbers) axis.values.push_back(text_of(each, whole));
        } else {
            axis.values.push_back(value);
        }
        if (axis.values.size() > Axis::most)
            return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{}: more than {} values", where, Axis::most)};
    }
    host::Settings tried;
    for (const std::string& value : axis.values)
        if (setting) HOST_TRY(host::set_from_text(tried, *setting, value, where));
    return axis;
}

std::vector<std::string> prompt_choices(std::string_view prompt) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= prompt.size();) {
        const std::size_t end = std::min(prompt.find('|', begin), prompt.size());
        parts.emplace_back(trimmed(prompt.substr(begin, end - begin)));
        begin = end + 1;
    }
    std::vector<std::string> choices;
    for (std::size_t bits = 0; bits < std::size_t(1) << (parts.size() - 1); ++bits) {
        std::string choice = parts[0];
        for (std::size_t i = 1; i < parts.size(); ++i)
            if (bits >> (i - 1) & 1) choice += ", " + parts[i];
        choices.push_back(std::move(choice));
    }
    return choices;
}

Expected<void> set_on(Context& context, const Axis& axis, std::size_t index) {
    const std::string& value = axis.values[index];
    if (is_param(axis.name)) {
        context.settings.given_plugin_params[axis.name] = value;
        return {};
    }
    if (axis.name != "prompt")
        return host::set_from_text(context.settings, *host::find_flag("--" + axis.name), value, "--" + axis.name);
    const std::string& from = axis.values[0];
    bool found = false;
    for (std::string* text : {&*context.line.prompt, context.settings.negative_prompt ? &*context.settings.negative_prompt
                                                                                      : nullptr})
        for (std::size_t at = 0; text && !from.empty() && (at = text->find(from, at)) != std::string::npos;) {
            found = true;
            text->replace(at, from.size(), value);
            at += value.size();
        }
    if (found) return {};
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("the prompt does not have {}, which the grid is to replace", host::shown(from))};
}

}  // namespace pumice::cli
