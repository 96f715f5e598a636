// `pumice plugins install`, remove, pack, keygen, new: the commands that handle packages of plugins.
#pragma once

#include "plugins/package_outcome.hpp"

namespace pumice::cli {

/// Whether the command line is one of them: argv[1] is "plugins", argv[2] one of the commands.
bool is_package_command(int argc, const char* const* argv);

/// Runs it. What it did goes to stdout, an error in one line to stderr; gives the exit status, which for a refused
/// package is its host::Refusal. `get` is getenv: XDG_DATA_HOME and HOME say where plugins lie.
int run_package_command(int argc, const char* const* argv, const char* (*get)(const char*));

/// The error's line on stderr, if there is one, and the exit status.
int finish_package_command(const host::Packaged<host::Done>& outcome);

}  // namespace pumice::cli
