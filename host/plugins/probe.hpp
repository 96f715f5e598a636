// A plugin is tried out in a process of its own before it is let into this one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "plugins/description.hpp"

namespace pumice::plugins {

/// What became of it: descriptions, or why not.
struct Verdict {
    std::vector<Description> plugins;
    std::string reason;  ///< one line; empty: it is sound
};

/// Runs `program` (pumice_probe) on the library: loads it, checks entry, ABI version, factories, every extension's
/// pointers and descriptors, and unloads it. A crash, an exit, or more than `seconds` are reasons. An error only when
/// the program cannot be run.
Result<Verdict> probe(const std::filesystem::path& program, const std::filesystem::path& library, double seconds);

/// What the probe program does and prints on `descriptor`: the verdict as one JSON object.
int probe_here(const std::filesystem::path& library, int descriptor);

}  // namespace pumice::plugins
