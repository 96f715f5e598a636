// A profile and the device's peaks as JSON, for people and programs.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "measure/peaks.hpp"
#include "vulkan/capabilities.hpp"
#include "vulkan/profile.hpp"

namespace pumice {

/// The sums: {"schema": "pumice.profile/1", "device", "driver", "precision", "seconds", "device_seconds", "dispatches",
/// "complete", "stages": […], "kernels": […]}, the kernels by falling time. Seconds of a stage's kernels add up to its
/// device_seconds.
nlohmann::ordered_json summary_json(const Profile&, const Capabilities&, const std::string& precision);

/// Chrome's trace format: traceEvents with a thread for the host and one for the device, microseconds, and the sums under
/// "pumice". A program's dispatches begin where the host began to submit it: the two clocks are not compared.
std::string trace_json(const Profile&, const Capabilities&, const std::string& precision);

nlohmann::ordered_json to_json(const Peaks&);

}  // namespace pumice
