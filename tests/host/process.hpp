// Runs the program under test as its users do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pumice::test {

struct Run {
    std::vector<std::string> arguments = {};              ///< of `pumice`
    std::map<std::string, std::string> environment = {};  ///< added to a small one (PATH, the loader's variables)
    std::filesystem::path folder = {};                    ///< to run in; empty: here
    std::optional<std::uint64_t> file_size_limit = {};    ///< bytes, RLIMIT_FSIZE
    std::string out = {};                                 ///< a file for stdout; empty: Finished::out
    bool unprivileged = false;                            ///< as root: without root's rights over files
    std::string interrupt_after = {};                     ///< a signal is sent when stderr has this text
    int signal = 2;                                       ///< which: SIGINT
};

struct Finished {
    int status = -1;  ///< exit status; 128 + signal when a signal ended it
    std::string out, err;
    /// From the signal until the program said so; -1: never. Its end may come later: Mesa's shader cache is written by
    /// a thread of the lowest priority, which on a busy machine takes long even to die.
    double seconds_to_cancel = -1;
};

/// Waits for the end. Throws std::runtime_error when the program cannot be started.
Finished run(const Run&);

/// Shorthand for the usual case.
inline Finished run_pumice(std::vector<std::string> arguments) {
    return run({.arguments = std::move(arguments)});
}

}  // namespace pumice::test
