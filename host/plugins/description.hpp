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

/// A sampler, a schedule, an upscaler, ...
struct Method {
    std::string name, label, help;
    std::uint32_t flags = 0;
    std::string schedule;              ///< sampler: the only one it walks; empty: any
    std::uint32_t calls_per_step = 1;  ///< sampler
    double scale = 0;                  ///< upscaler: its own factor; 0: the model's
    std::vector<Param> params;
};

struct Description {
    std::string id, name, version, vendor, licence, description;
    std::vector<Method> samplers, schedules, guidances, controls, upscalers, preprocessors, image_filters;

    /// "sampler, schedule, guidance".
    std::string kinds() const;
};

/// A kind of method: what users call one and several, and where a description has them.
struct Kind {
    const char* name;
    const char* plural;
    std::vector<Method> Description::*list;
};
inline constexpr Kind kSampler{"sampler", "samplers", &Description::samplers};
inline constexpr Kind kSchedule{"schedule", "schedules", &Description::schedules};
inline constexpr Kind kGuidance{"guidance", "guidances", &Description::guidances};
inline constexpr Kind kControl{"control", "controls", &Description::controls};
inline constexpr Kind kUpscaler{"upscaler", "upscalers", &Description::upscalers};
inline constexpr Kind kPreprocessor{"preprocessor", "preprocessors", &Description::preprocessors};
inline constexpr Kind kImageFilter{"image_filter", "image_filters", &Description::image_filters};
inline constexpr Kind kKinds[] = {kSampler, kSchedule, kGuidance, kControl, kUpscaler, kPreprocessor, kImageFilter};

nlohmann::ordered_json to_json(const Description&);
/// Of to_json. Code::bad_format for anything else.
Result<Description> description_from_json(const nlohmann::json&);

}  // namespace pumice::plugins
