// generate --profile and --profile-summary.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"

namespace pumice::cli {

bool wants_profile(const CommandLine&);

/// Before the work: whether the file can be written. An existing one is replaced, as pictures are by -o.
Expected<void> check_profile(const CommandLine&);

/// Writes the trace (Images::profile) where --profile says, and gives its sums with "peaks": what the device can do at
/// most, measured now if --profile-peaks asks for it, else as kept, or null. Null without a profile.
Expected<nlohmann::ordered_json> write_profile(const Context&, const Engine&, std::string_view trace);

/// Tables for people of what write_profile gives.
std::string profile_text(const nlohmann::ordered_json& profile);

/// What Engine::peaks gives: measured now and kept in the cache folder, or as it was kept there for this device and driver;
/// null when it never was. A file that is damaged or of another driver does not count.
Expected<nlohmann::ordered_json> device_peaks(const Engine&, const std::string& cache_folder, bool measure);

/// How near to what the device can do: the time that the arithmetic or the memory traffic would take at its peak, whichever
/// is longer, over the time taken. 0 to about 1.
double share_of_peak(double flops, double bytes, double seconds, const nlohmann::ordered_json& peaks);

}  // namespace pumice::cli
