// What a SPIR-V module declares, as far as the host has to know it before a driver sees the module.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"

namespace pumice::plugins {

struct SpirvInterface {
    std::array<std::uint32_t, 3> local_size{0, 0, 0};  ///< {0, 0, 0}: given by specialization constants
    std::uint32_t bindings = 0;                        ///< one more than the highest binding
    std::uint32_t other_set = 0;                       ///< the highest descriptor set
};

/// Walks the module: Code::bad_format for what is none, is cut off, is of a version above 1.5, or has no compute entry
/// point "main".
Result<SpirvInterface> read_spirv(std::span<const std::uint32_t> words);

}  // namespace pumice::plugins
