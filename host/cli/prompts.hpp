// What the program does to the prompts of a request before they are drawn: styles and wildcards.
#pragma once

#include <string>
#include <vector>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// Puts the styles of these names around the prompts, in this order, and expands wildcards by the request's seed where
/// a folder of them is set. PUMICE_NOT_FOUND for a name or a file there is not; errors of host::read_styles and
/// expand_wildcards.
Expected<void> prepare_prompts(Request&, const std::vector<std::string>& styles, const host::Settings&);

}  // namespace pumice::cli
