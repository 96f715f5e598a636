#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "diffusion/gpu_tensor_math.hpp"
#include "diffusion/sampler.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

constexpr Tolerance kTrajectory{2e-5, 1e-5};
/// It chooses its steps by numbers that rounding moves.
constexpr Tolerance kAdaptive{1e-3, 0};

/// Which sampler a stored run is of: the longest name that it begins with. "" for none.
std::string sampler_of(const std::string& run, const std::vector<std::string>& names) {
    std::string longest;
    for (const std::string& name : names)
        if ((run == name || run.starts_with(name + "_")) && name.size() > longest.size()) longest = name;
    return longest;
}

/// The arguments of a stored run as parameters of the plugin.
std::vector<std::string> params_of(const std::string& run, const nlohmann::json& args) {
    std::vector<std::string> params;
    for (const auto& [name, value] : args.items())
        params.push_back(name == "solver_type" ? "sampler.solver=" + value.get<std::string>()
                                               : "sampler." + name + "=" + value.dump());
    if (run == "unipc_bh2") params.emplace_back("sampler.variant=bh2");
    if (run == "unipc_order2_logsnr") {
        params.emplace_back("sampler.order=2");
        params.emplace_back("schedule.skip=log_snr");
    }
    return params;
}

/// The time step, from 0, at which the noise has level sigma, the logarithm of alpha = 1 / sqrt(1 + sigma^2) being
/// linear between time steps: how the reference's UniPC tells its model the time.
double time_of(const SigmaTable& table, double sigma) {
    const auto log_alpha = [](double s) { return -0.5 * std::log1p(s * s); };
    const std::span<const float> sigmas = table.sigmas();
    const auto above = std::lower_bound(sigmas.begin(), sigmas.end(), static_cast<float>(sigma));
    if (above == sigmas.begin()) return 0;
    if (above == sigmas.end()) return static_cast<double>(sigmas.size() - 1);
    const double low = log_alpha(double(above[-1])), high = log_alpha(double(*above));
    return static_cast<double>(above - sigmas.begin()) - (log_alpha(sigma) - high) / (low - high);
}

/// What the stored model takes for the picture in x. It was asked for the noise at a time step, scaled to variance 1:
/// between the table's levels the level it reckons with is not quite the sampler's.
float stored_model(double x, double sigma, double models) {
    const double scaled = x / std::sqrt(1 + sigma * sigma) * std::sqrt(1 + models * models);
    const double picture = scaled / (1 + models * models) + 0.1 * std::tanh(scaled);
    return static_cast<float>(x - sigma * (scaled - picture) / models);
}

Shape latent_shape(const Npy<float>& nchw) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(nchw.shape[i]); };
    return {at(0), at(2), at(3), at(1)};
}

Result<std::vector<float>> sigmas_of(Suite& suite, Sampler& sampler, const std::string& schedule) {
    if (schedule == "timesteps") return sampler.sigmas(SigmaTable::scaled_linear(), 8);
    PUMICE_ASSIGN(auto stored, suite.npy("sampler/sigmas_" + schedule + ".npy"));
    return std::move(stored.data);
}

Status run_case(Suite& suite, const std::string& name, const std::string& method, const nlohmann::json& settings) {
    const std::string file = "sampler/" + name;
    PUMICE_ASSIGN(const auto start, suite.npy("sampler/noise0.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy(file + ".out.npy"));
    PUMICE_ASSIGN(const auto plugins, suite.plugins());
    PUMICE_ASSIGN(const auto sampler, plugins->make_sampler(method, "normal", params_of(name, settings["args"]), {}));
    PUMICE_ASSIGN(const auto sigmas, sigmas_of(suite, *sampler, settings["schedule"]));
    std::vector<float> stored;
    if (suite.exists(file + ".noise.npy")) {
        PUMICE_ASSIGN(auto noises, suite.npy(file + ".noise.npy"));
        stored = std::move(noises.data);
    }
    std::size_t drawn = 0;
    const DrawNoise replay = [&](std::span<float> out) -> Status {
        if (drawn + out.size() > stored.size()) return Error{Code::internal, "more noise drawn than stored"};
        std::copy_n(stored.begin() + static_cast<std::ptrdiff_t>(drawn), out.size(), out.begin());
        drawn += out.size();
        return {};
    };
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    const Precision precision = suite.options().precision;
    const DrawBrownian replay_path = [&](std::span<float> out, double, double, double, double) { return replay(out); };
    PUMICE_ASSIGN(const auto math,
                  GpuTensorMath::create(device, *kernels, latent_shape(start), precision, replay, replay_path));

    // denoised = x / (1 + sigma^2) + 0.1 tanh(x), on the host: the sampler's own arithmetic is what is tested.
    const SigmaTable table = SigmaTable::scaled_linear();
    const bool times = settings["schedule"] == "timesteps";
    std::uint32_t calls = 0;
    const Denoise denoise = [&](const Latent& x, double sigma, const Latent& out) -> Status {
        ++calls;
        PUMICE_ASSIGN(auto values, math->download(x));
        const double models = times ? table.t_to_sigma(time_of(table, sigma)) : sigma;
        for (float& v : values) v = stored_model(double(v), sigma, models);
        return math->upload(out, values);
    };
    // There is no prompt: both answers are one.
    const DenoiseUncond denoise_uncond = [&](const Latent& x, double sigma, double, const Latent& out,
                                             const Latent& uncond) -> Status {
        PUMICE_TRY(denoise(x, sigma, out));
        return math->combine(uncond, {{1, out}});
    };
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    PUMICE_TRY(math->upload(x, start.data));
    PUMICE_TRY(math->combine(x, {{sampler->initial_scale(sigmas), x}}));
    PUMICE_TRY(
        sampler->run({.math = *math, .denoise = denoise, .sigmas = sigmas, .denoise_uncond = denoise_uncond}, x));
    PUMICE_ASSIGN(const auto got, math->download(x));
    suite.compare(file, got, expected.data, method == "dpm_adaptive" ? kAdaptive : kTrajectory);
    suite.exact(file + ".model_calls", calls == settings["model_calls"].get<std::uint32_t>(), std::to_string(calls));
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto cases, suite.json("sampler/samplers.json"));
    PUMICE_ASSIGN(const auto plugins, suite.plugins());
    for (const char* input : {"samplers", "noise0", "timesteps", "sigmas_karras", "sigmas_exponential", "sigmas_karras24"})
        suite.helper(std::string("sampler/") + input);
    for (const auto& entry : cases.items()) {
        const std::string name = entry.key(), method = sampler_of(name, plugins->sampler_names());
        if (!method.empty() && suite.wanted("sampler/" + name))
            suite.run("sampler/" + name, [&] { return run_case(suite, name, method, entry.value()); });
    }
    return {};
}

}  // namespace

void sampler_cases(Suite& suite) {
    if (suite.exists("sampler/samplers.json")) suite.run("sampler", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
