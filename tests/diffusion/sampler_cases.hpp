// The sampler runs of goldens/sampler, and a recorder that checks each model call of a replay.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/golden.hpp"
#include "diffusion/sampler.hpp"

namespace pumice {

struct SamplerCase {
    std::string name;  ///< of the stored files
    std::string sampler;
    std::string sigmas;  ///< stored list; ddim: its own
    SamplerOptions options = {};
};

inline std::vector<SamplerCase> sampler_cases() {
    return {{"euler", "euler", "karras"},
            {"euler_churn", "euler", "karras", {.s_noise = 1.003, .s_churn = 4, .s_tmin = 0.05, .s_tmax = 10}},
            {"euler_a", "euler_a", "karras"},
            {"euler_a_eta07", "euler_a", "karras", {.eta = 0.7, .s_noise = 0.9}},
            {"dpmpp_2m", "dpmpp_2m", "karras"},
            {"dpmpp_2m_exp", "dpmpp_2m", "exponential"},
            {"ddim", "ddim", "timesteps"},
            {"ddim_eta1", "ddim", "timesteps", {.eta = 1.0}}};
}

inline std::vector<float> case_sigmas(const SamplerCase& c) {
    if (c.sigmas != "timesteps") return golden("sampler/sigmas_" + c.sigmas).data;
    const auto sigmas = ddim_sigmas(SigmaTable::scaled_linear(), 8);
    REQUIRE(sigmas);
    return *sigmas;
}

/// The analytic model of the reference runs: denoised = x / (1 + sigma^2) + 0.1 tanh(x).
inline void analytic_model(std::span<const float> x, double sigma, std::span<float> denoised) {
    for (std::size_t i = 0; i < x.size(); ++i)
        denoised[i] = static_cast<float>(double(x[i]) / (1 + sigma * sigma) + 0.1 * std::tanh(double(x[i])));
}

constexpr double kSamplerAbsolute = 2e-5, kSamplerRelative = 1e-5;

/// What the stored run saw at each model call. Reference runs of ddim are in x / sqrt(1 + sigma^2), time steps and eps.
class CallChecker {
public:
    explicit CallChecker(const SamplerCase& c)
        : timesteps_(c.sampler == "ddim"),
          x_(golden("sampler/" + c.name + ".call_x").data),
          out_(golden("sampler/" + c.name + ".call_out").data),
          t_(golden("sampler/" + c.name + ".call_t").data) {}

    std::size_t calls() const { return calls_; }
    std::size_t expected_calls() const { return t_.size(); }

    void operator()(std::span<const float> x, double sigma, std::span<const float> denoised) {
        INFO("model call " << calls_);
        REQUIRE(calls_ < t_.size());
        const std::span<const float> want_x = std::span(x_).subspan(calls_ * x.size(), x.size());
        const std::span<const float> want_out = std::span(out_).subspan(calls_ * x.size(), x.size());
        const double scale = timesteps_ ? std::sqrt(1 + sigma * sigma) : 1;
        std::vector<double> got_x, got_out;
        for (std::size_t i = 0; i < x.size(); ++i) {
            got_x.push_back(double(x[i]) / scale);
            got_out.push_back(timesteps_ ? (double(x[i]) - double(denoised[i])) / sigma : double(denoised[i]));
        }
        const double level = timesteps_ ? table_.sigma_to_t(sigma) : sigma;
        CHECK(worst_error(std::vector{level}, std::span(t_).subspan(calls_, 1), 0, 1e-6) <= 1);
        CHECK(worst_error(got_x, want_x, kSamplerAbsolute, kSamplerRelative) <= 1);
        CHECK(worst_error(got_out, want_out, kSamplerAbsolute, kSamplerRelative) <= 1);
        ++calls_;
    }

private:
    bool timesteps_;
    SigmaTable table_ = SigmaTable::scaled_linear();
    std::vector<float> x_, out_, t_;
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
