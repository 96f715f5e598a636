// What the program's exit status says. One code a pumice_status, so that a script can branch on it; README and
// `pumice --help` list them, and tests/host/exit_codes_test.cpp holds them together.
#pragma once

#include "pumice/pumice.h"

namespace pumice::cli {

/// The shell's convention for a program that Ctrl-C ended (128 + SIGINT).
inline constexpr int kExitCancelled = 130;

constexpr int exit_code(pumice_status status) {
    return status == PUMICE_CANCELLED ? kExitCancelled : static_cast<int>(status);
}

struct ExitCode {
    pumice_status status;
    const char* meaning;
};

inline constexpr ExitCode kExitCodes[] = {
    {PUMICE_OK, "done"},
    {PUMICE_INTERNAL, "a bug of Pumice"},
    {PUMICE_INVALID_ARGUMENT, "a wrong option, variable or setting"},
    {PUMICE_NOT_FOUND, "a file or folder that does not exist"},
    {PUMICE_IO, "reading or writing failed"},
    {PUMICE_BAD_FORMAT, "a damaged file, or not what it claims to be"},
    {PUMICE_UNSUPPORTED, "a kind of model that this version cannot run"},
    {PUMICE_NO_DRIVER, "no Vulkan driver"},
    {PUMICE_NO_DEVICE, "no device that matches"},
    {PUMICE_MISSING_FEATURE, "the device lacks something that is needed"},
    {PUMICE_OUT_OF_HOST_MEMORY, "out of memory"},
    {PUMICE_OUT_OF_DEVICE_MEMORY, "out of device memory"},
    {PUMICE_DEVICE_LOST, "the device stopped answering"},
    {PUMICE_NOT_FINITE, "the model gave no numbers (damaged weights)"},
    {PUMICE_CANCELLED, "cancelled (Ctrl-C)"},
};

}  // namespace pumice::cli
