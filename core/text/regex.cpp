#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.hpp"

#include <pcre2.h>

#include <array>
#include <string>

namespace pumice {
namespace {

Error pcre2_error(std::string_view what, int code) {
    std::array<PCRE2_UCHAR, 128> message{};
    pcre2_get_error_message(code, message.data(), message.size());
    return {Code::internal, std::string(what) + ": " + reinterpret_cast<const char*>(message.data())};
}

PCRE2_SPTR units(std::string_view text) {
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

Result<Regex> Regex::compile(std::string_view pattern, bool caseless) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | (caseless ? PCRE2_CASELESS : 0u);
    pcre2_code* code = pcre2_compile(units(pattern), pattern.size(), options, &error, &offset, nullptr);
    if (!code) return pcre2_error("pattern '" + std::string(pattern) + "' at " + std::to_string(offset), error);
    return Regex(std::shared_ptr<const void>(code, [](pcre2_code* owned) { pcre2_code_free(owned); }));
}

Result<std::vector<Regex::Match>> Regex::find_all(std::string_view text) const {
    std::vector<Match> matches;
    if (text.empty()) return matches;  // and its data may be null, which PCRE2 10.42 refuses
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
        pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
    if (!data) return Error{Code::out_of_host_memory, "no memory to match a pattern"};

    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    for (std::size_t offset = 0; offset < text.size(); offset = range[1]) {
        const int found = pcre2_match(code, units(text), text.size(), offset, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                                      data.get(), nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) return pcre2_error("matching the text", found);
        matches.push_back({range[0], range[1]});
    }
    return matches;
}

}  // namespace pumice
