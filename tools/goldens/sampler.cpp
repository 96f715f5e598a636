#include <algorithm>
#include <cmath>
#include <map>

#include "diffusion/gpu_tensor_math.hpp"
#include "diffusion/sampler.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

constexpr Tolerance kTrajectory{2e-5, 1e-5};

/// The stored runs of the samplers this version has; their arguments stand in samplers.json.
const std::map<std::string, std::string> kRuns{
    {"euler", "euler"},       {"euler_churn", "euler"},     {"euler_a", "euler_a"}, {"euler_a_eta07", "euler_a"},
    {"dpmpp_2m", "dpmpp_2m"}, {"dpmpp_2m_exp", "dpmpp_2m"}, {"ddim", "ddim"},       {"ddim_eta1", "ddim"}};

SamplerOptions options_of(const nlohmann::json& args) {
    SamplerOptions o;
    if (args.contains("eta")) o.eta = args["eta"].get<double>();
    o.s_noise = args.value("s_noise", o.s_noise);
    o.s_churn = args.value("s_churn", o.s_churn);
    o.s_tmin = args.value("s_tmin", o.s_tmin);
    o.s_tmax = args.value("s_tmax", o.s_tmax);
    return o;
}

Shape latent_shape(const Npy<float>& nchw) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(nchw.shape[i]); };
    return {at(0), at(2), at(3), at(1)};
}

Result<std::vector<float>> sigmas_of(Suite& suite, const std::string& schedule) {
    if (schedule != "timesteps") {
        PUMICE_ASSIGN(auto stored, suite.npy("sampler/sigmas_" + schedule + ".npy"));
        return std::move(stored.data);
    }
    // Rising time steps; the sampler goes down.
    PUMICE_ASSIGN(const auto timesteps, suite.npy("sampler/timesteps.npy"));
    const SigmaTable table = SigmaTable::scaled_linear();
    std::vector<float> sigmas;
    for (auto t = timesteps.data.rbegin(); t != timesteps.data.rend(); ++t)
        sigmas.push_back(static_cast<float>(table.t_to_sigma(*t)));
    return sigmas;
}

Status run_case(Suite& suite, const std::string& name, const nlohmann::json& settings) {
    const std::string file = "sampler/" + name;
    PUMICE_ASSIGN(const auto start, suite.npy("sampler/noise0.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy(file + ".out.npy"));
    PUMICE_ASSIGN(const auto sigmas, sigmas_of(suite, settings["schedule"]));
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
    PUMICE_ASSIGN(const auto math, GpuTensorMath::create(device, *kernels, latent_shape(start), precision, replay));
    PUMICE_ASSIGN(const Sampler* sampler, find_sampler(kRuns.at(name)));

    // denoised = x / (1 + sigma^2) + 0.1 tanh(x), on the host: the sampler's own arithmetic is what is tested.
    std::uint32_t calls = 0;
    const Denoise denoise = [&](const Latent& x, double sigma, const Latent& out) -> Status {
        ++calls;
        PUMICE_ASSIGN(auto values, math->download(x));
        for (float& v : values)
            v = static_cast<float>(double(v) / (1 + sigma * sigma) + 0.1 * std::tanh(double(v)));
        return math->upload(out, values);
    };
    PUMICE_ASSIGN(const Latent x, math->create_latent());
    PUMICE_TRY(math->upload(x, start.data));
    PUMICE_TRY(math->combine(x, {{initial_scale(*sampler, sigmas), x}}));
    PUMICE_TRY(sample(*sampler,
                      {.math = *math, .denoise = denoise, .sigmas = sigmas, .options = options_of(settings["args"]), .on_step = {}}, x));
    PUMICE_ASSIGN(const auto got, math->download(x));
    suite.compare(file, got, expected.data, kTrajectory);
    suite.exact(file + ".model_calls", calls == settings["model_calls"].get<std::uint32_t>(), std::to_string(calls));
    return {};
}

Status all_cases(Suite& suite) {
    PUMICE_ASSIGN(const auto cases, suite.json("sampler/samplers.json"));
    for (const char* input : {"samplers", "noise0", "timesteps", "sigmas_karras", "sigmas_exponential"})
        suite.helper(std::string("sampler/") + input);
    for (const auto& entry : cases.items()) {
        const std::string name = entry.key();
        if (kRuns.contains(name) && suite.wanted("sampler/" + name))
            suite.run("sampler/" + name, [&] { return run_case(suite, name, entry.value()); });
    }
    return {};
}

}  // namespace

void sampler_cases(Suite& suite) {
    if (suite.exists("sampler/samplers.json")) suite.run("sampler", [&] { return all_cases(suite); });
}

}  // namespace pumice::goldens
