// Values of plugins' parameters, from text.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "plugins/description.hpp"

namespace pumice::plugins {

struct ParamValue {
    double number = 0;
    std::string text;
};

/// "KIND.ID=VALUE", cut.
struct GivenParam {
    std::string kind;  ///< "sampler"
    std::string id;    ///< "s_churn"
    std::string value;
};

/// Code::invalid_argument says what a parameter looks like.
Result<GivenParam> parse_param(const std::string& text);

/// One value a parameter of the method, the defaults where nothing is given; the last given counts. Of `given` those of
/// `kind` are looked at: one that the method does not have, or a value out of range, is Code::invalid_argument, one
/// line.
Result<std::vector<ParamValue>> resolve_params(const Method&, const std::string& kind,
                                               std::span<const GivenParam> given);

/// "a number from 0 to 100".
std::string wanted(const Param&);

}  // namespace pumice::plugins
