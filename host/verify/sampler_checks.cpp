// pumice.sampler/1: a sampler ends where it should, at any settings, and does as its host tells it.
#include <array>
#include <cmath>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/progress.h"
#include "pumice/sdk/ext/tensor.h"
#include "verify/sampling.hpp"

namespace pumice::verify {
namespace {

/// A sampler of a plugin.
struct Tested {
    Plugin plugin;
    std::uint32_t index;
    const plugins::Method& method() const { return plugin.description().samplers[index]; }
    Result<SamplingOptions> options(std::uint32_t steps) const {
        SamplingOptions options;
        PUMICE_ASSIGN(options.sigmas, levels_for(plugin, method(), steps));
        options.params = trials(method()).front().values;
        return options;
    }
    Sampled sample(const SamplingOptions& options) const { return verify::sample(plugin, index, options); }
};

/// What is wrong with a run that should have gone well.
Why trouble(const Sampled& sampled) {
    if (!sampled.thrown.empty()) return sampled.thrown;
    if (!sampled.error.empty()) return sampled.error;
    for (const float v : sampled.x)
        if (!std::isfinite(v)) return "the end is not finite";
    return sampled.left > 0 ? fmt::format("it left {} tensors behind", sampled.left) : "";
}

double rms(const std::vector<float>& x, const std::vector<double>& wanted) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += (double(x[i]) - wanted[i]) * (double(x[i]) - wanted[i]);
    return std::sqrt(sum / static_cast<double>(x.size()));
}

/// Where there is one picture alone, every sampler ends there, but for the noise of the last level.
Why finds_the_point(const Tested& tested) {
    for (const std::uint32_t steps : {2u, 3u, 7u, 20u}) {
        PUMICE_VERIFY_ASSIGN(const SamplingOptions options, tested.options(steps));
        const Sampled sampled = tested.sample(options);
        if (Why why = trouble(sampled); !why.empty()) return fmt::format("{} steps: {}", steps, why);
        const double level = options.sigmas.back() > 0 ? double(options.sigmas.back())
                                                       : double(options.sigmas[options.sigmas.size() - 2]);
        const double away = rms(sampled.x, std::vector<double>(kElements, kPoint));
        const double allowed = 3 * level + 1e-4 * double(options.sigmas.front());
        if (away > allowed)
            return fmt::format("{} steps: it ends {:.3g} away from the only picture there is, more than {:.3g}", steps,
                               away, allowed);
    }
    return "";
}

/// Over pictures that are normal numbers the way without noise is known: x - mean goes as sqrt(spread^2 + sigma^2)
/// (the probability flow of Song et al. 2021, arXiv 2011.13456, for a Gaussian). One that adds noise ends at pictures of
/// about that mean and spread; LCM, whose model should know the end at once, at about 0.7 of the spread.
Why converges(const Tested& tested) {
    std::array<double, 2> away{};
    std::array<int, 2> calls{};
    for (std::size_t i = 0; i < away.size(); ++i) {
        PUMICE_VERIFY_ASSIGN(SamplingOptions options, tested.options(i == 0 ? 12 : 60));
        options.model = Model::bell;
        const Sampled sampled = tested.sample(options);
        if (Why why = trouble(sampled); !why.empty()) return why;
        if (sampled.noises > 0) {
            if (i == 0) continue;
            double sum = 0, squares = 0;
            for (const float v : sampled.x) sum += double(v);
            const double mean = sum / kElements;
            for (const float v : sampled.x) squares += (double(v) - mean) * (double(v) - mean);
            const double spread = std::sqrt(squares / kElements);
            if (std::fabs(mean - kPoint) > 0.15 * kSpread || spread < 0.6 * kSpread || spread > 1.3 * kSpread)
                return fmt::format("60 steps: its pictures have mean {:.3g} and deviation {:.3g}, those there are {} and "
                                   "{}",
                                   mean, spread, kPoint, kSpread);
            return "";
        }
        const double first = double(options.sigmas.front()), last = double(options.sigmas.back());
        const double ratio = std::sqrt((kSpread * kSpread + last * last) / (kSpread * kSpread + first * first));
        std::vector<double> wanted;
        for (const float v : sampled.start) wanted.push_back(kPoint + ratio * (double(v) - kPoint));
        away[i] = rms(sampled.x, wanted);
        calls[i] = sampled.model_calls;
    }
    // A method that chooses its steps itself makes as many of them whatever is asked for.
    const bool better = away[1] <= 0.6 * away[0] || away[1] <= 0.02 * kSpread || calls[0] == calls[1];
    if (away[1] > 0.1 * kSpread || !better)
        return fmt::format("it ends {:.3g} away from the answer at 12 steps and {:.3g} at 60", away[0], away[1]);
    return "";
}

/// Levels that a schedule may well give.
Why any_levels(const Tested& tested) {
    if (!tested.method().schedule.empty()) return "";  // it walks its own alone
    const std::vector<std::vector<float>> lists = {
        {14, 0}, {2, 1}, {14, 5, 2, 1, 0.5f}, {14, 7, 7, 3, 3, 3, 1, 0}, {80, 1e-3f, 0}, {0.02f, 0.01f, 0}};
    for (const auto& list : lists) {
        SamplingOptions options;
        options.sigmas = list;
        options.params = trials(tested.method()).front().values;
        if (Why why = trouble(tested.sample(options)); !why.empty())
            return fmt::format("{} levels, the first {}, the last {}: {}", list.size(), list.front(), list.back(), why);
    }
    return "";
}

Why any_parameters(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(SamplingOptions options, tested.options(5));
    for (const Trial& trial : trials(tested.method())) {
        options.params = trial.values;
        if (Why why = trouble(tested.sample(options)); !why.empty()) return fmt::format("{}: {}", trial.what, why);
    }
    return "";
}

Why repeats(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(const SamplingOptions options, tested.options(5));
    const Sampled first = tested.sample(options);
    std::array<Sampled, 2> beside;
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < threads.size(); ++i)
        threads[i] = std::thread([&, i] { beside[i] = tested.sample(options); });
    for (std::thread& thread : threads) thread.join();
    for (const Sampled& other : beside)
        if (first.x.size() != other.x.size() ||
            std::memcmp(first.x.data(), other.x.data(), first.x.size() * sizeof(float)) != 0)
            return "two runs beside each other from the same end differently: it keeps something between runs, or shares "
                   "it between instances";
    return "";
}

Why reports_steps(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(const SamplingOptions options, tested.options(7));
    const Sampled sampled = tested.sample(options);
    if (Why why = trouble(sampled); !why.empty()) return why;
    if (sampled.steps.empty()) return "it never tells pumice.progress/1 of a step";
    std::uint32_t before = 0;
    for (const auto& [done, all] : sampled.steps) {
        if (done <= before || done > all) return fmt::format("it tells of step {} of {} after step {}", done, all, before);
        before = done;
    }
    // Several model calls a step are a method's right; none for long is what users see as a program that hangs.
    if (sampled.model_calls > 16 * static_cast<int>(sampled.steps.size()))
        return fmt::format("it tells of {} steps in {} model calls", sampled.steps.size(), sampled.model_calls);
    return "";
}

/// A run that the host ended: the host's status, at once, and nothing left.
Why ended(const Sampled& sampled, pumice_sdk_status wanted) {
    Why why = ended_by_host(sampled, sampled.thrown, sampled.status, wanted);
    if (!why.empty() || sampled.left == 0 || sampled.failed.empty()) return why;
    return fmt::format("{} tensors were left behind when {} failed", sampled.left, sampled.failed);
}

Why honours_cancel(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(SamplingOptions options, tested.options(7));
    const int steps = static_cast<int>(tested.sample(options).steps.size());
    for (int step = 1; step <= steps; ++step) {
        options.cancel_step = step;
        if (Why why = ended(tested.sample(options), PUMICE_SDK_CANCELLED); !why.empty())
            return fmt::format("cancelled at step {}: {}", step, why);
    }
    return "";
}

/// Each call to the host fails in turn.
Why hands_errors_on(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(SamplingOptions options, tested.options(4));
    const Sampled whole = tested.sample(options);
    if (Why why = trouble(whole); !why.empty()) return why;
    for (int call = 0; call < whole.calls; ++call) {
        options.fail_call = call;
        if (Why why = ended(tested.sample(options), PUMICE_SDK_OUT_OF_DEVICE_MEMORY); !why.empty())
            return fmt::format("call {} of {}: {}", call + 1, whole.calls, why);
    }
    // And afterwards all is as before.
    options.fail_call.reset();
    return tested.sample(options).x == whole.x ? "" : "after errors it ends elsewhere than before";
}

Why other_hosts(const Tested& tested) {
    PUMICE_VERIFY_ASSIGN(SamplingOptions options, tested.options(4));
    const Sampled whole = tested.sample(options);
    options.future = true;
    const Sampled future = tested.sample(options);
    if (Why why = trouble(future); !why.empty()) return "with the structs of a newer host: " + why;
    if (future.x != whole.x) return "with the structs of a newer host it ends elsewhere";
    options.future = false;
    for (const char* id : {PUMICE_HOST_TENSOR_1, PUMICE_HOST_PROGRESS_1, PUMICE_HOST_MATH_1, PUMICE_HOST_LOG_1, ""}) {
        options.hidden = id;
        const Sampled sampled = tested.sample(options);
        if (sampled.status == PUMICE_SDK_INTERNAL) return fmt::format("without {}: {}", *id ? id : "any", sampled.error);
        if (sampled.status == PUMICE_SDK_OK && sampled.x != whole.x)
            return fmt::format("without {} it says that all is well and ends elsewhere", *id ? id : "any extension");
    }
    return "";
}

}  // namespace

Checks sampler_checks(const Plugin& plugin) {
    const std::pair<const char*, Why (*)(const Tested&)> all[] = {
        {"ends at the picture where there is only one", finds_the_point},
        {"comes nearer to the answer with more steps", converges},
        {"walks any levels that fall", any_levels},
        {"takes each parameter at both ends", any_parameters},
        {"gives the same from the same, on two threads too", repeats},
        {"tells of its steps", reports_steps},
        {"ends at once when it is cancelled", honours_cancel},
        {"hands on an error of each call to the host", hands_errors_on},
        {"runs in a newer host, and in one that lacks something", other_hosts},
    };
    Checks checks;
    for (std::uint32_t i = 0; i < plugin.description().samplers.size(); ++i)
        for (const auto& [name, check] : all) {
            const auto run = check;
            checks.push_back({fmt::format("sampler {}: {}", plugin.description().samplers[i].name, name),
                              [plugin, i, run] { return run(Tested{plugin, i}); }});
        }
    return checks;
}

}  // namespace pumice::verify
