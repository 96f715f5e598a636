// --preview: a picture file that shows what is being made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command_line.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// Written anew each time, whole or not at all; the pictures of a batch side by side. What cannot be written is said once, and
/// the pictures are made all the same.
class PreviewFile {
public:
    /// Has a request show itself in the file. This outlives it.
    void show(const CommandLine&, Request&);

private:
    void take(const pumice_preview&);
    std::string file_;
    std::vector<std::uint8_t> rgb_;  ///< of the batch
    bool failed_ = false;
};

}  // namespace pumice::cli
