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
    std::string name;          ///< "sampler my_euler: ends at once when it is cancelled"
    std::string why;           ///< it failed; empty: it passed, or
    std::string not_run = {};  ///< it was not run: what it lacks
};

struct Verification {
    std::vector<Description> plugins;  ///< empty when it could not be loaded
    std::vector<Checked> checks;
    std::size_t failed() const;
    std::size_t not_run() const;
};

struct VerifyOptions {
    double seconds = 30;  ///< how long one check may take
    std::string device;   ///< see Instance::choose; "none": none. What needs one is not run then
    /// "NAME=FILE": the model of an upscaler or a control network NAME, or "METHOD.PARAM=FILE".
    std::vector<std::string> files;
};

/// Runs `program` (pumice_verify) on the library. A check that crashes, or takes too long, has failed, and the next are
/// run in a new process. `on_check` hears of each as it ends. An error only when the program cannot be run, or a file
/// is named wrongly.
Result<Verification> verify(const std::filesystem::path& program, const std::filesystem::path& library,
                            const VerifyOptions&, const std::function<void(const Checked&)>& on_check);

}  // namespace pumice::plugins
