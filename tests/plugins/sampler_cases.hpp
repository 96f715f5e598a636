// The sampler runs of goldens/sampler, and a recorder that checks each model call of a replay.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/golden.hpp"
#include "diffusion/schedule.hpp"

namespace pumice {

struct SamplerCase {
    std::string name;  ///< of the stored files
    std::string sampler;
    std::string sigmas;  ///< stored list; "timesteps": the sampler's own for 8 steps
    std::vector<std::string> params = {};
};

inline std::vector<SamplerCase> sampler_cases() {
    return {{"euler", "euler", "karras"},
            {"euler_churn", "euler", "karras",
             {"sampler.s_noise=1.003", "sampler.s_churn=4", "sampler.s_tmin=0.05", "sampler.s_tmax=10"}},
            {"euler_a", "euler_a", "karras"},
            {"euler_a_eta07", "euler_a", "karras", {"sampler.eta=0.7", "sampler.s_noise=0.9"}},
            {"heun", "heun", "karras"},
            {"heun_churn", "heun", "karras", {"sampler.s_churn=4"}},
            {"heunpp2", "heunpp2", "karras"},
            {"dpm2", "dpm2", "karras"},
            {"dpm2_a", "dpm2_a", "karras"},
            {"lms", "lms", "karras"},
            {"dpmpp_2s_a", "dpmpp_2s_a", "karras"},
            {"dpmpp_2m", "dpmpp_2m", "karras"},
            {"dpmpp_2m_exp", "dpmpp_2m", "exponential"},
            {"dpmpp_sde", "dpmpp_sde", "karras"},
            {"dpmpp_2m_sde", "dpmpp_2m_sde", "exponential"},
            {"dpmpp_2m_sde_heun", "dpmpp_2m_sde", "exponential", {"sampler.solver=heun"}},
            {"dpmpp_2m_sde_eta0", "dpmpp_2m_sde", "exponential", {"sampler.eta=0"}},
            {"dpmpp_3m_sde", "dpmpp_3m_sde", "exponential"},
            {"deis", "deis", "karras"},
            {"ipndm", "ipndm", "karras"},
            {"ipndm_v", "ipndm_v", "karras"},
            {"restart", "restart", "karras24"},
            {"lcm", "lcm", "karras"},
            {"dpm_fast", "dpm_fast", "karras"},
            {"dpm_adaptive", "dpm_adaptive", "karras"},
            {"ddim", "ddim", "timesteps"},
            {"ddim_eta1", "ddim", "timesteps", {"sampler.eta=1"}},
            {"ddim_cfgpp", "ddim_cfgpp", "timesteps"},
            {"plms", "plms", "timesteps"},
            {"unipc", "unipc", "timesteps"},
            {"unipc_bh2", "unipc", "timesteps", {"sampler.variant=bh2"}}};
}

/// A stored list; empty for "timesteps".
inline std::vector<float> case_sigmas(const SamplerCase& c) {
    if (c.sigmas == "timesteps") return {};
    return golden("sampler/sigmas_" + c.sigmas).data;
}

/// The analytic model of the reference runs: denoised = x / (1 + sigma^2) + 0.1 tanh(x).
inline void analytic_model(std::span<const float> x, double sigma, std::span<float> denoised) {
    for (std::size_t i = 0; i < x.size(); ++i)
        denoised[i] = static_cast<float>(double(x[i]) / (1 + sigma * sigma) + 0.1 * std::tanh(double(x[i])));
}

constexpr double kSamplerAbsolute = 2e-5, kSamplerRelative = 1e-5;
/// It chooses its steps by numbers that rounding moves.
constexpr double kAdaptiveAbsolute = 1e-3;

/// What the stored run saw at each model call. Reference runs over time steps are in x / sqrt(1 + sigma^2), time steps and eps.
class CallChecker {
public:
    explicit CallChecker(const SamplerCase& c)
        : timesteps_(c.sigmas == "timesteps"),
          adaptive_(c.sampler == "dpm_adaptive"),
          x_(golden("sampler/" + c.name + ".call_x").data),
          t_(golden("sampler/" + c.name + ".call_t").data) {}

    std::size_t calls() const { return calls_; }
    std::size_t expected_calls() const { return t_.size(); }

    void operator()(std::span<const float> x, double sigma) {
        INFO("model call " << calls_);
        REQUIRE(calls_ < t_.size());
        const double scale = timesteps_ ? std::sqrt(1 + sigma * sigma) : 1;
        const double level = timesteps_ ? table_.sigma_to_t(sigma) : sigma;
        // Levels between steps, and time steps, carry the float32 rounding of their reference's functions.
        CHECK(worst_error(std::vector{level}, std::span(t_).subspan(calls_, 1), timesteps_ ? 2e-3 : 0,
                          adaptive_ ? 1e-3 : 1e-5) <= 1);
        // Every draw is checked where it is used; x is large at first.
        const std::span<const float> want = std::span(x_).subspan(calls_ * x.size(), x.size());
        std::vector<double> got;
        for (const float v : x) got.push_back(double(v) / scale);
        CHECK(worst_error(got, want, adaptive_ ? kAdaptiveAbsolute * 10 : 4e-5, adaptive_ ? 1e-3 : 2e-5) <= 1);
        ++calls_;
    }

private:
    bool timesteps_, adaptive_;
    SigmaTable table_ = SigmaTable::scaled_linear();
    std::vector<float> x_, t_;
    std::size_t calls_ = 0;
};

/// Hands out the stored noises of a case, one a draw.
class StoredNoise {
public:
    explicit StoredNoise(const SamplerCase& c) {
        if (std::filesystem::exists(golden_path("sampler/" + c.name + ".noise")))
            noises_ = golden("sampler/" + c.name + ".noise").data;
    }
    Status operator()(std::span<float> out) {
        if (at_ + out.size() > noises_.size()) return Error{Code::internal, "more noises drawn than stored"};
        std::copy_n(noises_.begin() + static_cast<std::ptrdiff_t>(at_), out.size(), out.begin());
        at_ += out.size();
        return {};
    }
    bool used_up() const { return at_ == noises_.size(); }

private:
    std::vector<float> noises_;
    std::size_t at_ = 0;
};

}  // namespace pumice
