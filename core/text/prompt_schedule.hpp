// Prompts that change from step to step, and prompts made of several, as in AUTOMATIC1111's web UI
// (modules/prompt_parser.py there). The order: split_and, then schedule_prompt for each part, then chunk_prompt for
// each entry (prompt.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// One of the prompts that AND joins.
struct WeightedPrompt {
    std::string text;
    double weight = 1;
};

/// Splits `a AND b :0.6` into its prompts, of which there is at least one, with their weights. AND must be a word of
/// its own. White space before a prompt stays, as in the reference. Code::invalid_argument for text that is not UTF-8
/// or too long (largest_prompt_bytes) and for a weight too large for a float.
Result<std::vector<WeightedPrompt>> split_and(std::string_view prompt);

struct ScheduleOptions {
    std::uint32_t steps = 20;                  ///< of the pass; model calls, for samplers that make two a step
    std::optional<std::uint32_t> hires_steps;  ///< set for the second pass of a hires fix: how many steps that one has
    bool old_scheduling = false;               ///< versions before 1.6: `when` below 1 is a fraction, with a dot or not
};

struct ScheduledPrompt {
    std::uint32_t last_step = 0;  ///< counted from 1, included
    std::string text;
};

/// Resolves `[from:to:when]`, `[to:when]`, `[from::when]` (`when`: a step, or with a dot a fraction of all) and
/// `[a|b|…]` (one a step, in turn), which nest, into the text of each stretch of steps, the last of which ends with the
/// pass. A bracket that is nothing of this is left to parse_attention; a prompt with a stray `|`, or a `\` at the end
/// of it or of a line, is left as a whole, as the reference does. Where a stray bracket or colon touches one of these
/// forms
/// (`[a:b:3])`) the reference takes the form for text or not by the chance of a hash; here it is always the form.
/// Code::invalid_argument for text that is not UTF-8, too long, or with brackets nested more than 200 deep, and for no
/// steps or more than 10000.
Result<std::vector<ScheduledPrompt>> schedule_prompt(std::string_view prompt, const ScheduleOptions& options);

/// The entry for model call `call`, counted from 0: the first with call <= last_step, thus one call more than it says,
/// as in the reference. The last one beyond the end. `entries` must not be empty.
const ScheduledPrompt& prompt_at(const std::vector<ScheduledPrompt>& entries, std::uint32_t call);

}  // namespace pumice
