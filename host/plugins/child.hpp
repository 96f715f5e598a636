// A program run beside this one, that tells what it finds through a pipe.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice::plugins {

/// Where the program writes: what a plugin prints must not get in between.
inline constexpr int kReport = 3;

struct Child {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    double seconds = 10;  ///< how long it may take
    bool each = false;    ///< that long from one message to the next, and not in all
};

struct ChildEnd {
    bool in_time = true;
    int status = 0;  ///< of waitpid
};

/// Runs it with no input and no output, in a process group of its own, which is ended with it; `take` gets what it
/// writes to kReport as it comes. An error only when the program cannot be run.
Result<ChildEnd> run_child(const Child&, const std::function<void(std::string_view)>& take);

/// "Segmentation fault", "exit status 3".
std::string end_text(int status);

}  // namespace pumice::plugins
