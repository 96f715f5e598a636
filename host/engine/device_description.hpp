// A device's texts, kept for as long as the C structs point to them.
#pragma once

#include <string>

#include "pumice/pumice.h"
#include "vulkan/capabilities.hpp"

namespace pumice {

class DeviceDescription {
public:
    explicit DeviceDescription(const Capabilities&);
    /// Points into this object.
    pumice_device_info info() const;

private:
    std::string name_, driver_, uuid_, missing_, record_;
    const char* type_;
    std::uint64_t memory_ = 0;
};

}  // namespace pumice
