#include "plugins/plugin_sampler.hpp"

#include <cmath>

#include <fmt/format.h>

#include "plugins/session.hpp"

namespace pumice::plugins {
namespace {

/// What a schedule may write beyond its steps; a plugin that writes more is found out by the numbers after it.
constexpr std::size_t kRoom = 1024, kGuard = 64;
constexpr float kGuardValue = -12345.5f;

/// The fields of a call that the C function behind it needs.
struct Denoising {
    const SamplerCall& call;
    Session& session;
    bool unconditional;
};

pumice_sdk_status denoise(const pumice_sampler_call* call, pumice_tensor x, double sigma, pumice_tensor denoised) {
    auto& [of, session, unconditional] = *static_cast<Denoising*>(call->data);
    const Marked outside(session.marker(), false);
    const Latent *in = session.find(x), *out = session.find(denoised);
    if (!in || !out || in == out || !(sigma > 0) || !std::isfinite(sigma))
        return session.answer(
            Error{Code::invalid_argument,
                  fmt::format("denoise of tensor {} at sigma {} into tensor {}", x, sigma, denoised)});
    try {
        return session.answer(of.denoise(*in, sigma, *out));
    } catch (const std::exception& e) {
        return session.answer(Error{Code::internal, e.what()});
    }
}

pumice_sdk_status denoise_uncond(const pumice_sampler_call* call, pumice_tensor x, double sigma, double scale,
                                 pumice_tensor denoised, pumice_tensor uncond) {
    auto& [of, session, unconditional] = *static_cast<Denoising*>(call->data);
    const Marked outside(session.marker(), false);
    const Latent *in = session.find(x), *out = session.find(denoised), *other = session.find(uncond);
    const bool three = in && out && other && in != out && in != other && out != other;
    if (!unconditional || !three || !(sigma > 0) || !std::isfinite(sigma) || !(scale > 0 && scale <= 1))
        return session.answer(Error{
            Code::invalid_argument,
            fmt::format("denoise_uncond of tensor {} at sigma {} with scale {} into tensors {} and "
                        "{}{}",
                        x, sigma, scale, denoised, uncond, unconditional ? "" : ", by a sampler without its flag")});
    try {
        return session.answer(of.denoise_uncond(*in, sigma, scale, *out, *other));
    } catch (const std::exception& e) {
        return session.answer(Error{Code::internal, e.what()});
    }
}

}  // namespace

Result<std::vector<float>> run_schedule(const PluginMethod& method, const std::string& family, const SigmaTable& table,
                                        std::uint32_t steps, const Log& log,
                                        const std::filesystem::path& marker_folder) {
    if (steps < 1 || steps > table.size())
        return Error{Code::invalid_argument, fmt::format("steps is {}, must be 1 to {}", steps, table.size())};
    Marker marker(marker_folder, method.id);
    Session session(method.id, log, &marker);
    const Marked inside(&marker, true);
    auto instance = Instance::create(method.library, method.plugin, session.host());
    if (!instance) return method.error(std::move(instance.error()));
    session.begin_run({});
    const auto values = method.values();
    const std::uint32_t capacity = table.size() + static_cast<std::uint32_t>(kRoom);
    std::vector<float> sigmas(capacity + kGuard, kGuardValue);
    std::uint32_t count = 0;
    const pumice_schedule_call call{sizeof(pumice_schedule_call),
                                    steps,
                                    table.size(),
                                    capacity,
                                    table.sigmas().data(),
                                    family.c_str(),
                                    values.data(),
                                    sigmas.data(),
                                    &count};
    const pumice_schedule_1* extension = instance->schedule();
    PUMICE_TRY(method.check(extension, *instance));
    std::string thrown;
    const pumice_sdk_status status =
        call_plugin(thrown, [&] { return extension->run(instance->plugin(), method.index, &call); });
    session.end_run();
    const std::string doing = fmt::format("schedule {}", method.method.name);
    if (Status outcome = session.outcome(status, thrown, doing); !outcome)
        return method.error(std::move(outcome.error()));
    for (std::size_t i = capacity; i < sigmas.size(); ++i)
        if (sigmas[i] != kGuardValue)
            return method.error({Code::internal, doing + " wrote past the end of its output"});
    if (count > capacity)
        return method.error(
            {Code::internal, fmt::format("{} gave {} sigmas, there is room for {}", doing, count, capacity)});
    sigmas.resize(count);
    return sigmas;
}

Result<std::vector<float>> PluginSampler::sigmas(const SigmaTable& table, std::uint32_t steps) {
    const bool discard = (sampler_.method.flags & PUMICE_SAMPLER_DISCARD_PENULTIMATE) != 0;
    const std::uint32_t asked = discard && steps < table.size() ? steps + 1 : steps;
    PUMICE_ASSIGN(std::vector<float> levels, run_schedule(schedule_, family_, table, asked, log_, marker_folder_));
    if (levels.size() < 2 && !sampler_.method.schedule.empty())
        return Error{Code::invalid_argument,
                     fmt::format("steps is {}, must be 2 or more for {}, which makes one step fewer", steps,
                                 sampler_.method.name)};
    if (Status sound = check_sigmas(levels); !sound)
        return schedule_.error(
            {Code::internal, fmt::format("schedule {}: {}", schedule_.method.name, sound.error().message)});
    if (asked > steps && levels.size() > 2) levels.erase(levels.end() - 2);
    return levels;
}

double PluginSampler::initial_scale(std::span<const float> sigmas) const {
    const double sigma = sigmas.empty() ? 0.0 : double(sigmas.front());
    return (sampler_.method.flags & PUMICE_SAMPLER_VARIANCE_PRESERVING) != 0 ? std::sqrt(1 + sigma * sigma) : sigma;
}

Status PluginSampler::run(const SamplerCall& call, const Latent& x) {
    PUMICE_TRY(check_sigmas(call.sigmas));
    Marker marker(marker_folder_, sampler_.id);
    Session session(sampler_.id, log_, &marker);
    const Marked inside(&marker, true);
    auto instance = Instance::create(sampler_.library, sampler_.plugin, session.host());
    if (!instance) return sampler_.error(std::move(instance.error()));
    const pumice_sampler_1* extension = instance->sampler();
    PUMICE_TRY(sampler_.check(extension, *instance));
    session.begin_run(
        {.math = &call.math,
         .step = [&call](std::uint32_t done,
                         std::uint32_t all) { return call.on_step ? call.on_step(done - 1, all) : Status{}; },
         .check = call.check});
    Denoising denoising{call, session, unconditional()};
    const auto values = sampler_.values();
    const pumice_sampler_call request{sizeof(pumice_sampler_call),
                                      static_cast<std::uint32_t>(call.sigmas.size()),
                                      call.sigmas.data(),
                                      values.data(),
                                      session.lend(x),
                                      0,
                                      &denoising,
                                      denoise,
                                      denoise_uncond};
    std::string thrown;
    const pumice_sdk_status status =
        call_plugin(thrown, [&] { return extension->run(instance->plugin(), sampler_.index, &request); });
    const std::size_t left = session.end_run();
    if (left > 0 && status == PUMICE_SDK_OK)
        log_.warning("plugin {}: sampler {} left {} tensors behind, which were released", sampler_.id,
                     sampler_.method.name, left);
    const Status outcome = session.outcome(status, thrown, fmt::format("sampler {}", sampler_.method.name));
    if (outcome) return {};
    // Cancelling and the engine's own errors are not the plugin's.
    const Error& error = outcome.error();
    return session.failed_in_host() ? error : sampler_.error(error);
}

}  // namespace pumice::plugins
