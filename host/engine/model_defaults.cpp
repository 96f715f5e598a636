#include "engine/model_defaults.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

namespace pumice {
namespace {

using Json = nlohmann::json;

class Reader {
public:
    Reader(const Json& object, const std::string& where) : object_(object), where_(where) {}

    Status integer(const char* key, std::uint32_t& value, std::uint32_t least, std::uint32_t most,
                   std::uint32_t multiple) {
        if (!object_.contains(key)) return {};
        const Json& found = object_[key];
        if (!found.is_number_integer() || found < least || found > most || found.get<std::uint32_t>() % multiple != 0)
            return bad(key, multiple == 1 ? fmt::format("a whole number from {} to {}", least, most)
                                          : fmt::format("a multiple of {} from {} to {}", multiple, least, most));
        value = found.get<std::uint32_t>();
        return {};
    }

    Status number(const char* key, float& value, float least, float most) {
        if (!object_.contains(key)) return {};
        const Json& found = object_[key];
        if (!found.is_number() || found < least || found > most)
            return bad(key, fmt::format("a number from {} to {}", least, most));
        value = found.get<float>();
        return {};
    }

    template <class Names>
    Status name(const char* key, std::string& value, const Names& names) {
        if (!object_.contains(key)) return {};
        const Json& found = object_[key];
        for (const auto& name : names)
            if (found.is_string() && found.get<std::string>() == name) {
                value = name;
                return {};
            }
        return bad(key, fmt::format("one of {}", fmt::join(names, ", ")));
    }

private:
    Error bad(const char* key, const std::string& wanted) const {
        return {Code::bad_format, fmt::format("{}: pumice.defaults: \"{}\" must be {}", where_, key, wanted)};
    }
    const Json& object_;
    const std::string& where_;
};

}  // namespace

Result<ModelDefaults> model_defaults(const WeightFile& file, const ModelConfig& config,
                                     const std::string& file_name, std::span<const std::string> samplers,
                                     std::span<const std::string> schedules) {
    ModelDefaults values;
    const std::uint32_t channels = config.unet.model_channels;
    const bool xl = config.family == Family::sdxl || config.family == Family::sdxl_refiner;
    const std::uint32_t full = xl ? 1024 : config.family == Family::sd2 && config.v_prediction ? 768 : 512;
    values.width = values.height = channels >= 320 ? full : channels >= 128 ? 256 : 128;
    const bool has_trailing = std::find(schedules.begin(), schedules.end(), "sgm_uniform") != schedules.end();
    if (config.zero_terminal_snr && has_trailing) values.schedule = "sgm_uniform";
    const auto found = file.metadata().find("pumice.defaults");
    if (found == file.metadata().end()) return values;

    const Json object = Json::parse(found->second, nullptr, false);
    if (!object.is_object())
        return Error{Code::bad_format, fmt::format("{}: pumice.defaults is not a JSON object", file_name)};
    Reader read(object, file_name);
    PUMICE_TRY(read.integer("width", values.width, 64, 16384, 8));
    PUMICE_TRY(read.integer("height", values.height, 64, 16384, 8));
    PUMICE_TRY(read.integer("steps", values.steps, 1, 1000, 1));
    PUMICE_TRY(read.integer("clip_skip", values.clip_skip, 1, 64, 1));
    PUMICE_TRY(read.number("cfg", values.guidance_scale, 0, 100));
    PUMICE_TRY(read.name("sampler", values.sampler, samplers));
    PUMICE_TRY(read.name("schedule", values.schedule, schedules));
    return values;
}

}  // namespace pumice
