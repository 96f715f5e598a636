// What a plugin says of itself, copied, so that it outlives the library and can be kept between runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "pumice/sdk/ext/control.h"
#include "pumice/sdk/ext/guidance.h"
#include "pumice/sdk/ext/image_filter.h"
#include "pumice/sdk/ext/preprocessor.h"
#include "pumice/sdk/ext/sampler.h"
#include "pumice/sdk/ext/schedule.h"
#include "pumice/sdk/ext/upscaler.h"

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
    /// The ids of what it extends: "pumice.sampler/1".
    std::vector<std::string> extensions() const;
};

/// A kind of method: what users call one and several, its extension's id, and where a description has them.
struct Kind {
    const char* name;
    const char* plural;
    const char* extension;
    std::vector<Method> Description::*list;
};
inline constexpr Kind kSampler{"sampler", "samplers", PUMICE_SAMPLER_1, &Description::samplers};
inline constexpr Kind kSchedule{"schedule", "schedules", PUMICE_SCHEDULE_1, &Description::schedules};
inline constexpr Kind kGuidance{"guidance", "guidances", PUMICE_GUIDANCE_1, &Description::guidances};
inline constexpr Kind kControl{"control", "controls", PUMICE_CONTROL_1, &Description::controls};
inline constexpr Kind kUpscaler{"upscaler", "upscalers", PUMICE_UPSCALER_1, &Description::upscalers};
inline constexpr Kind kPreprocessor{"preprocessor", "preprocessors", PUMICE_PREPROCESSOR_1,
                                    &Description::preprocessors};
inline constexpr Kind kImageFilter{"image_filter", "image_filters", PUMICE_IMAGE_FILTER_1,
                                   &Description::image_filters};
inline constexpr Kind kKinds[] = {kSampler, kSchedule, kGuidance, kControl, kUpscaler, kPreprocessor, kImageFilter};

nlohmann::ordered_json to_json(const Description&);
/// Of to_json, which may lie in a damaged file. Code::bad_format for anything else, and for what no plugin may say.
Result<Description> description_from_json(const nlohmann::json&);

}  // namespace pumice::plugins
