// What the files of a batch are called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "pumice/pumice.hpp"

namespace pumice::cli {

class OutputNames {
public:
    /// With `output` (-o): that name, then NAME-2.png, NAME-3.png, …; existing files are replaced. Without:
    /// pumice-0001.png and on in `folder` (empty: the current one), after the highest number there; nothing is
    /// replaced.
    OutputNames(std::optional<std::string> output, std::optional<std::string> folder);

    /// Whether the first file can be written, before the work: the errors of check_writable, and
    /// PUMICE_INVALID_ARGUMENT for an ending of another format.
    Expected<void> check() const;

    /// Writes picture `index` of the batch and gives the name it got.
    Expected<std::filesystem::path> write(std::size_t index, std::span<const std::uint8_t> png);

private:
    std::filesystem::path named(std::size_t index) const;
    std::optional<std::filesystem::path> output_;
    std::filesystem::path folder_;
    std::uint32_t number_ = 0;  ///< of the last file written without -o
};

}  // namespace pumice::cli
