// Files that are there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "pumice/pumice.hpp"

namespace pumice::host {

enum class Existing : std::uint8_t {
    replace,  ///< by the new file, in one step
    keep,     ///< and write nothing
};

/// Writes to a new file in the same folder, syncs it, and gives it its name: nobody ever sees a part, and after an
/// error nothing new is there. False: there is a file of that name and Existing::keep was asked for. A symbolic link is
/// followed; what is no regular file (/dev/stdout, a pipe) is written to directly.
/// PUMICE_NOT_FOUND for an absent folder, else PUMICE_IO; the message says what to do.
Expected<bool> write_file(const std::filesystem::path&, std::span<const std::uint8_t> bytes, Existing);

/// The errors that write_file would give before the first byte, so that minutes of work are not lost to a name
/// mistyped. What a full disk says comes later.
Expected<void> check_writable(const std::filesystem::path&);

}  // namespace pumice::host
