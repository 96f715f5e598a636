// What the cells of a grid differ in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.hpp"

namespace pumice::cli {

/// One of --x, --y and --z: an option of `generate` and the values it takes.
struct Axis {
    std::string name;                 ///< "steps", "sampler.eta", "prompt"
    std::vector<std::string> values;  ///< at least one
    /// Below 100 of them, one a cell.
    static constexpr std::size_t most = 100;
};

/// "steps=10,20": values in double quotes may have commas, a doubled quote is one. Numbers also as "1-5" (in steps of 1),
/// "10-50 (+20)", "0-1 [3]" (that many, evenly), as AUTOMATIC1111's script has them. `where` is the option's name for
/// messages. PUMICE_INVALID_ARGUMENT: no such option, no value, a value that the option does not take.
Expected<Axis> parse_axis(std::string_view text, const std::string& where);

/// The first part with and without each of the others, which "|" separates: "a|b|c" is a, "a, b", "a, c", "a, b, c".
std::vector<std::string> prompt_choices(std::string_view prompt);

/// Sets value `index` in the settings, the parameters or the prompt of a command. PUMICE_INVALID_ARGUMENT when the prompt
/// does not have the text to be replaced.
Expected<void> set_on(Context&, const Axis&, std::size_t index);

}  // namespace pumice::cli
