// The capability record as JSON, for people and programs.
#pragma once

#include <nlohmann/json.hpp>

#include "vulkan/capabilities.hpp"

namespace pumice {

/// Every field of the record, by its name there; sizes in bytes. `missing` is added (missing_requirement).
nlohmann::ordered_json to_json(const Capabilities&);

/// "1.3.239"; with the variant before it if that is not 0.
std::string vulkan_version_text(std::uint32_t version);

}  // namespace pumice
