// What a plugin says of itself, copied, so that it outlives the library and can be kept between runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.hpp"

namespace pumice::plugins {

struct Param {
    std::int32_t type = 0;  ///< PUMICE_PARAM_...
    std::string id, help, unit;
    double least = 0, most = 0, step = 0;
    double default_number = 0;
    std::string default_text;
    std::vector<std::string> choices;
};

/// A sampler, a schedule, a method of guidance.
struct Method {
    std::string name, label, help;
    std::uint32_t flags = 0;
    std::string schedule;              ///< sampler: the only one it walks; empty: any
    std::uint32_t calls_per_step = 1;  ///< sampler
    std::vector<Param> params;
};

struct Description {
    std::string id, name, version, vendor, licence, description;
    std::vector<Method> samplers, schedules, guidances;

    /// "sampler, schedule, guidance".
    std::string kinds() const;
    /// The ids of what it extends: "pumice.sampler/1".
    std::vector<std::string> extensions() const;
};

nlohmann::ordered_json to_json(const Description&);
/// Of to_json, which may lie in a damaged file. Code::bad_format for anything else, and for what no plugin may say.
Result<Description> description_from_json(const nlohmann::json&);

}  // namespace pumice::plugins
