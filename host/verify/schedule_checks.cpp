// pumice.schedule/1: levels that samplers can walk, at any settings.
#include <fmt/format.h>

#include "diffusion/sampler.hpp"
#include "diffusion/schedule.hpp"
#include "plugins/plugin_sampler.hpp"
#include "pumice/sdk/ext/schedule.h"
#include "verify/suite.hpp"

namespace pumice::verify {
namespace {

struct Tested {
    Plugin plugin;
    std::uint32_t index;
    const plugins::Method& method() const { return plugin.description().schedules[index]; }
    Result<std::vector<float>> run(std::uint32_t steps, const std::vector<plugins::ParamValue>& values,
                                   const SigmaTable& table, const std::string& family = "sd1") const {
        const plugins::PluginMethod schedule{plugin.description().id, plugin.subject.library, plugin.index, index,
                                             method(), values};
        return plugins::run_schedule(schedule, family, table, steps, {}, {});
    }
};

/// An internal schedule may give too few levels for a single step; its samplers are told.
Why trouble(const Tested& tested, const Result<std::vector<float>>& levels, std::uint32_t steps) {
    if (!levels) return fmt::format("{} steps: {}", steps, levels.error().message);
    const bool internal = (tested.method().flags & PUMICE_SCHEDULE_INTERNAL) != 0;
    if (internal && levels->size() < 2) return "";
    const Status sound = check_sigmas(*levels);
    return sound ? "" : fmt::format("{} steps: {}", steps, sound.error().message);
}

Why any_steps(const Tested& tested) {
    const auto defaults = trials(tested.method()).front().values;
    for (const std::uint32_t size : {10u, 1000u}) {
        const SigmaTable table = SigmaTable::scaled_linear(0.00085, 0.012, size);
        for (std::uint32_t steps = 1; steps <= size; ++steps)
            if (Why why = trouble(tested, tested.run(steps, defaults, table), steps); !why.empty())
                return fmt::format("{} (a table of {})", why, size);
    }
    return "";
}

Why any_parameters(const Tested& tested) {
    const SigmaTable table = SigmaTable::scaled_linear();
    for (const Trial& trial : trials(tested.method()))
        for (const std::uint32_t steps : {1u, 2u, 3u, 10u, 57u, 999u, 1000u})
            if (Why why = trouble(tested, tested.run(steps, trial.values, table), steps); !why.empty())
                return fmt::format("{}: {}", trial.what, why);
    return "";
}

Why repeats(const Tested& tested) {
    const SigmaTable table = SigmaTable::scaled_linear();
    const auto defaults = trials(tested.method()).front().values;
    const auto first = tested.run(20, defaults, table);
    const auto between = tested.run(7, defaults, table), again = tested.run(20, defaults, table);
    if (!first || !between || !again) return "a run failed";
    return *first == *again ? "" : "two runs with the same arguments give different levels";
}

Why any_family(const Tested& tested) {
    const SigmaTable table = SigmaTable::scaled_linear();
    const auto defaults = trials(tested.method()).front().values;
    for (const char* family : {"sd1", "sd2", "sdxl", "", "one-that-is-yet-to-come"}) {
        const auto levels = tested.run(10, defaults, table, family);
        if (!levels && levels.error().code == Code::unsupported) continue;  // it may say so
        if (Why why = trouble(tested, levels, 10); !why.empty()) return fmt::format("family \"{}\": {}", family, why);
    }
    return "";
}

}  // namespace

Checks schedule_checks(const Plugin& plugin) {
    const std::pair<const char*, Why (*)(const Tested&)> all[] = {
        {"gives levels that fall, for any number of steps", any_steps},
        {"takes each parameter at both ends", any_parameters},
        {"gives the same from the same", repeats},
        {"takes models of any family, or says that it does not", any_family},
    };
    Checks checks;
    for (std::uint32_t i = 0; i < plugin.description().schedules.size(); ++i)
        for (const auto& [name, check] : all) {
            const auto run = check;
            checks.push_back({fmt::format("schedule {}: {}", plugin.description().schedules[i].name, name),
                              [plugin, i, run] { return run(Tested{plugin, i}); }});
        }
    return checks;
}

}  // namespace pumice::verify
