#include "cli/prompts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/styles.hpp"
#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

Expected<void> apply_styles(Request& request, const std::vector<std::string>& names, const host::Settings& settings) {
    if (names.empty()) return {};
    const std::string file = settings.styles_file.value_or("styles.csv");
    HOST_ASSIGN(const auto styles, host::read_styles(file));
    for (const std::string& name : names) {
        const auto style =
            std::find_if(styles.begin(), styles.end(), [&](const host::Style& s) { return s.name == name; });
        if (style == styles.end()) {
            std::vector<std::string_view> known;
            for (const host::Style& each : styles) known.push_back(each.name);
            return Failure{PUMICE_NOT_FOUND, fmt::format("there is no style {} in {}{}", host::shown(name), file,
                                                         host::did_you_mean(name, known))};
        }
        host::apply_style(*style, request.prompt, request.negative_prompt);
    }
    return {};
}

}  // namespace

Expected<void> prepare_prompts(Request& request, const std::vector<std::string>& styles,
                               const host::Settings& settings) {
    HOST_TRY(apply_styles(request, styles, settings));
    if (!settings.wildcards_folder) return {};
    for (std::string* prompt : {&request.prompt, &request.negative_prompt}) {
        HOST_ASSIGN(*prompt, expand_wildcards(*prompt, request.seed, {*settings.wildcards_folder}));
    }
    return {};
}

}  // namespace pumice::cli
