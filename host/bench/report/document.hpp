// Reports of the benchmark as files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pumice/pumice.hpp"

namespace pumice::report {

/// Of the files that this version writes and reads: tools/bench/schema.json.
inline constexpr const char* kSchema = "pumice.bench/1";

/// SHA-256 of the report without its "hash", keys sorted, no space between: of the content, not of how it is written.
std::string content_hash(const nlohmann::ordered_json& report);

/// What pumice_bench gives, with schema, date, version, machine and hash.
nlohmann::ordered_json finish(nlohmann::ordered_json measured);

/// A report of a file, its hash checked. PUMICE_NOT_FOUND or PUMICE_IO; PUMICE_BAD_FORMAT for what is no report, or one that
/// was changed; PUMICE_UNSUPPORTED for another version's.
Expected<nlohmann::ordered_json> read_report(const std::filesystem::path&);

/// Whether their numbers are of the same work: PUMICE_INVALID_ARGUMENT says how they differ. The reports are named as
/// `names`.
Expected<void> check_comparable(const std::vector<nlohmann::ordered_json>& reports, const std::vector<std::string>& names);

}  // namespace pumice::report
