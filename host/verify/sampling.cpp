#include "verify/sampling.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plugins/plugin_sampler.hpp"
#include "plugins/session.hpp"
#include "pumice/sdk/ext/sampler.h"
#include "verify/hidden_host.hpp"

namespace pumice::verify {
namespace {

using plugins::Instance;
using plugins::Session;

/// What is behind pumice_sampler_call.data.
struct Denoising {
    Session& session;
    CountedMath& math;
    Counter& counter;
    Model model;
    Sampled& sampled;
    bool unconditional;
};

void predict(Denoising& d, const Latent& x, double sigma, const Latent& denoised) {
    const auto from = d.math.inner().data(x), to = d.math.inner().data(denoised);
    const double variance = kSpread * kSpread, share = variance / (variance + sigma * sigma);
    for (std::size_t i = 0; i < from.size(); ++i)
        to[i] = static_cast<float>(d.model == Model::point ? kPoint : kPoint + share * (double(from[i]) - kPoint));
}

pumice_sdk_status denoise(const pumice_sampler_call* call, pumice_tensor x, double sigma, pumice_tensor denoised) {
    auto& d = *static_cast<Denoising*>(call->data);
    ++d.sampled.model_calls;
    if (const Status status = d.counter.call("denoise"); !status) return d.session.answer(status);
    const Latent *in = d.session.find(x), *out = d.session.find(denoised);
    if (!in || !out || in == out || !(sigma > 0) || !std::isfinite(sigma))
        return d.session.answer(
            Error{Code::invalid_argument,
                  fmt::format("denoise of tensor {} at sigma {} into tensor {}", x, sigma, denoised)});
    predict(d, *in, sigma, *out);
    return PUMICE_SDK_OK;
}

/// The model needs no prompt: both answers are one.
pumice_sdk_status denoise_uncond(const pumice_sampler_call* call, pumice_tensor x, double sigma, double scale,
                                 pumice_tensor denoised, pumice_tensor uncond) {
    auto& d = *static_cast<Denoising*>(call->data);
    ++d.sampled.model_calls;
    if (const Status status = d.counter.call("denoise_uncond"); !status) return d.session.answer(status);
    const Latent *in = d.session.find(x), *out = d.session.find(denoised), *other = d.session.find(uncond);
    const bool three = in && out && other && in != out && in != other && out != other;
    if (!d.unconditional || !three || !(sigma > 0) || !std::isfinite(sigma) || !(scale > 0 && scale <= 1))
        return d.session.answer(Error{
            Code::invalid_argument,
            fmt::format("denoise_uncond of tensor {} at sigma {} with scale {} into tensors {} and {}{}", x, sigma,
                        scale, denoised, uncond, d.unconditional ? "" : ", by a sampler without its flag")});
    predict(d, *in, sigma, *out);
    predict(d, *in, sigma, *other);
    return PUMICE_SDK_OK;
}

/// Pictures and noise: kPoint, or a draw of the bell's, and sigma times noise.
void fill_start(const SamplingOptions& options, Sampled& sampled) {
    std::vector<float> noise(kElements), picture(kElements);
    NoiseSource source(RngKind::philox, options.seed + 1000);
    source.normal(noise);
    source.normal(picture);
    const double sigma = double(options.sigmas.front());
    sampled.start.resize(kElements);
    for (std::size_t i = 0; i < kElements; ++i) {
        const double from = options.model == Model::point ? kPoint : kPoint + kSpread * double(picture[i]);
        sampled.start[i] = static_cast<float>(from + sigma * double(noise[i]));
    }
}

}  // namespace

std::string ended_by_host(const Tally& tally, const std::string& thrown, std::int32_t status, std::int32_t wanted) {
    if (tally.failed.empty()) return "";
    if (!thrown.empty()) return thrown;
    if (status != wanted) return fmt::format("{} gave status {}, and it gave {}", tally.failed, wanted, status);
    if (tally.calls_after_failure > 0)
        return fmt::format("{} gave status {}, and it made {} more calls", tally.failed, wanted,
                           tally.calls_after_failure);
    return "";
}

Result<std::vector<float>> levels_for(const Plugin& plugin, const plugins::Method& method, std::uint32_t steps) {
    const SigmaTable table = SigmaTable::scaled_linear();
    const bool discard = (method.flags & PUMICE_SAMPLER_DISCARD_PENULTIMATE) != 0;
    const std::uint32_t asked = discard && steps < table.size() ? steps + 1 : steps;
    std::vector<float> sigmas;
    if (method.schedule.empty()) {
        const double most = std::pow(table.sigma_max(), 1 / 7.0), least = std::pow(table.sigma_min(), 1 / 7.0);
        for (std::uint32_t i = 0; i < asked; ++i)
            sigmas.push_back(
                static_cast<float>(std::pow(most + (asked > 1 ? i / (asked - 1.0) : 0) * (least - most), 7.0)));
        sigmas.push_back(0);
    } else {
        const auto& all = plugin.description().schedules;
        const auto own = std::find_if(all.begin(), all.end(),
                                      [&](const plugins::Method& each) { return each.name == method.schedule; });
        if (own == all.end())
            return Error{
                Code::not_found,
                fmt::format("it walks the schedule {} alone, which this plugin does not bring", method.schedule)};
        plugins::PluginMethod schedule{plugin.description().id,
                                       plugin.subject.library,
                                       plugin.index,
                                       static_cast<std::uint32_t>(own - all.begin()),
                                       *own,
                                       trials(*own).front().values};
        PUMICE_ASSIGN(sigmas, plugins::run_schedule(schedule, "sd1", table, asked, {}, {}));
    }
    if (asked > steps && sigmas.size() > 2) sigmas.erase(sigmas.end() - 2);
    return sigmas;
}

Sampled sample(const Plugin& plugin, std::uint32_t index, const SamplingOptions& options) {
    const plugins::Method& method = plugin.description().samplers[index];
    Sampled sampled;
    Counter counter(options, sampled);
    CountedMath math(counter, sampled, options.seed);
    Session session(plugin.description().id, {}, nullptr);
    const HiddenHost hidden(session.host(), options.hidden ? options.hidden : "none");
    auto instance = Instance::create(plugin.subject.library, plugin.index, hidden.host());
    if (!instance) {
        sampled.status = static_cast<pumice_sdk_status>(instance.error().code) + 1;
        sampled.error = sampled.thrown = instance.error().message;
        return sampled;
    }
    fill_start(options, sampled);
    auto x = math.inner().create_latent();
    (void)math.inner().upload(*x, sampled.start);
    session.begin_run({.math = &math,
                       .step = [&](std::uint32_t done, std::uint32_t all) -> Status {
                           sampled.steps.emplace_back(done, all);
                           PUMICE_TRY(counter.call("step"));
                           if (options.cancel_step != static_cast<int>(done)) return {};
                           counter.failed("step");
                           return Error{Code::cancelled, "cancelled"};
                       },
                       .check = [&] { return counter.call("check"); }});
    const bool unconditional = (method.flags & PUMICE_SAMPLER_UNCONDITIONAL) != 0;
    Denoising denoising{session, math, counter, options.model, sampled, unconditional};
    const auto values = plugins::values_of(method, options.params);
    const Longer<pumice_sampler_call> request(
        {sizeof(pumice_sampler_call), static_cast<std::uint32_t>(options.sigmas.size()), options.sigmas.data(),
         values.data(), session.lend(*x), 0, &denoising, denoise, denoise_uncond},
        options.future);
    const pumice_sampler_1* extension = instance->sampler();
    sampled.status =
        plugins::call_plugin(sampled.thrown, [&] { return extension->run(instance->plugin(), index, request.get()); });
    sampled.left = session.end_run();
    if (const Status outcome = session.outcome(sampled.status, sampled.thrown, "run"); !outcome)
        sampled.error = outcome.error().message;
    sampled.x = *math.inner().download(*x);
    return sampled;
}

}  // namespace pumice::verify
