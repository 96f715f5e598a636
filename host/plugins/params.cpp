#include "plugins/params.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/check.hpp"
#include "pumice/sdk/params.h"

namespace pumice::plugins {
namespace {

constexpr std::size_t kMostText = 4096;

std::optional<double> number(const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

std::optional<double> truth(const std::string& text) {
    if (text == "1" || text == "true" || text == "on" || text == "yes") return 1;
    if (text == "0" || text == "false" || text == "off" || text == "no") return 0;
    return std::nullopt;
}

std::optional<ParamValue> value_of(const Param& p, const std::string& text) {
    std::optional<double> found;
    switch (p.type) {
        case PUMICE_PARAM_INT:
        case PUMICE_PARAM_FLOAT:
            found = number(text);
            if (!found || *found < p.least || *found > p.most) return std::nullopt;
            if (p.type == PUMICE_PARAM_INT && *found != std::floor(*found)) return std::nullopt;
            return ParamValue{*found, {}};
        case PUMICE_PARAM_BOOL:
            found = truth(text);
            if (!found) return std::nullopt;
            return ParamValue{*found, {}};
        case PUMICE_PARAM_ENUM: {
            const auto at = std::find(p.choices.begin(), p.choices.end(), text);
            if (at == p.choices.end()) return std::nullopt;
            return ParamValue{static_cast<double>(at - p.choices.begin()), {}};
        }
        case PUMICE_PARAM_FILE: {
            std::error_code error;
            if (!text.empty() && !std::filesystem::is_regular_file(text, error)) return std::nullopt;
            return ParamValue{0, text};
        }
        default:
            if (text.size() > kMostText || text != one_line(text)) return std::nullopt;
            return ParamValue{0, text};
    }
}

Error no_such(const Method& method, const std::string& kind, const std::string& id) {
    std::vector<std::string> ids;
    for (const Param& p : method.params) ids.push_back(p.id);
    const std::string has = ids.empty() ? "it has none" : fmt::format("it has {}", fmt::join(ids, ", "));
    return {Code::invalid_argument, fmt::format("plugin parameter {}.{}: the {} {} has no such parameter; {}", kind,
                                                one_line(id), kind, method.name, has)};
}

}  // namespace

Result<GivenParam> parse_param(const std::string& text) {
    const std::size_t equals = text.find('='), dot = text.find('.');
    if (equals == std::string::npos || dot == std::string::npos || dot > equals || dot == 0 || dot + 1 == equals)
        return Error{Code::invalid_argument,
                     fmt::format("plugin parameter {}: write KIND.NAME=VALUE, as sampler.eta=0.5", one_line(text))};
    GivenParam given{text.substr(0, dot), text.substr(dot + 1, equals - dot - 1), text.substr(equals + 1)};
    const auto known = [&](const Kind& kind) { return given.kind == kind.name; };
    if (std::none_of(std::begin(kKinds), std::end(kKinds), known)) {
        std::vector<std::string> names;
        for (const Kind& kind : kKinds) names.push_back(std::string(kind.name) + ".");
        return Error{Code::invalid_argument, fmt::format("plugin parameter {}: it must begin with one of {}",
                                                         one_line(text), fmt::join(names, ", "))};
    }
    return given;
}

std::string wanted(const Param& p) {
    switch (p.type) {
        case PUMICE_PARAM_INT:
            return fmt::format("a whole number from {} to {}", p.least, p.most);
        case PUMICE_PARAM_FLOAT:
            return fmt::format("a number from {} to {}", p.least, p.most);
        case PUMICE_PARAM_BOOL:
            return "true or false";
        case PUMICE_PARAM_ENUM:
            return fmt::format("one of {}", fmt::join(p.choices, ", "));
        case PUMICE_PARAM_FILE:
            return "a file that exists";
        default:
            return "a text of one line";
    }
}

Result<std::vector<ParamValue>> resolve_params(const Method& method, const std::string& kind,
                                               std::span<const GivenParam> given) {
    std::vector<ParamValue> values;
    for (const Param& p : method.params) values.push_back({p.default_number, p.default_text});
    for (const GivenParam& g : given) {
        if (g.kind != kind) continue;
        const auto at =
            std::find_if(method.params.begin(), method.params.end(), [&](const Param& p) { return p.id == g.id; });
        if (at == method.params.end()) return no_such(method, kind, g.id);
        const auto value = value_of(*at, g.value);
        if (!value)
            return Error{Code::invalid_argument,
                         fmt::format("plugin parameter {}.{}: {} is not {}", kind, g.id,
                                     g.value.empty() ? "\"\"" : one_line(g.value.substr(0, 80)), wanted(*at))};
        values[static_cast<std::size_t>(at - method.params.begin())] = *value;
    }
    return values;
}

}  // namespace pumice::plugins
