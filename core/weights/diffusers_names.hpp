// The names that a single file's tensors have in a folder of diffusers: as_single_file (names.hpp) the other way round.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "weights/names.hpp"
#include "weights/stored_tensor.hpp"

namespace pumice {

/// What the numbers of blocks depend on.
struct DiffusersLayout {
    std::uint32_t resnets = 0;  ///< of a down block of the UNet
    std::uint32_t levels = 0;   ///< of the VAE
};
/// Of a single file's tensors.
DiffusersLayout diffusers_layout(std::span<const StoredTensor>);

/// `name` stands behind part_prefix(part). A name that is none of the part's stays as it is.
std::string diffusers_name(std::string_view name, ModelPart part, const DiffusersLayout&);

}  // namespace pumice
