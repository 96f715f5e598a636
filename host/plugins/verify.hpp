// A plugin is held against what the SDK's headers say, in a process of its own: for those who write plugins.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "plugins/description.hpp"

namespace pumice::plugins {

struct Checked {
    std::string name;  ///< "sampler my_euler: ends at once when it is cancelled"
    std::string why;   ///< it failed; empty: it passed
};

struct Verification {
    std::vector<Description> plugins;  ///< empty when it could not be loaded
    std::vector<Checked> checks;
    std::vector<std::string> unchecked;  ///< extensions of the plugins' that there are no checks for: ids
    std::size_t failed() const;
};

/// Runs `program` (pumice_verify) on the library. A check that crashes, or takes more than `seconds`, has failed, and the
/// next are run in a new process. `on_check` hears of each as it ends. An error only when the program cannot be run.
Result<Verification> verify(const std::filesystem::path& program, const std::filesystem::path& library, double seconds,
                            const std::function<void(const Checked&)>& on_check);

}  // namespace pumice::plugins
