// Registries over the built-in plugins and over folders of others, and samplers run without a device.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catch.hpp"
#include "diffusion/cpu_tensor_math.hpp"
#include "plugins/registry.hpp"
#include "temporary_folder.hpp"

namespace pumice::test {

inline plugins::RegistryOptions builtin_options() {
    plugins::RegistryOptions options;
    options.builtin = PUMICE_BUILTIN_PLUGINS;
    options.probe = PUMICE_PROBE;
    return options;
}

inline std::shared_ptr<plugins::Registry> make_registry(plugins::RegistryOptions options) {
    auto registry = plugins::Registry::create(std::move(options));
    INFO((registry ? "" : registry.error().message));
    REQUIRE(registry);
    return *std::move(registry);
}

inline std::unique_ptr<Sampler> make_sampler(plugins::Registry& registry, const std::string& name,
                                             const std::vector<std::string>& params = {},
                                             const std::string& schedule = "normal") {
    auto sampler = registry.make_sampler(name, schedule, params, {});
    INFO((sampler ? "" : sampler.error().message));
    REQUIRE(sampler);
    return *std::move(sampler);
}

/// Runs over these levels with a model that always gives zero, from ones.
inline Status run_plainly(Sampler& sampler, const std::vector<float>& sigmas,
                          std::function<Status(std::uint32_t, std::uint32_t)> on_step = {}) {
    CpuTensorMath math(4, [](std::span<float> out) {
        std::fill(out.begin(), out.end(), 1.0f);
        return Status{};
    });
    const Denoise zero = [&math](const Latent&, double, const Latent& denoised) {
        std::fill(math.data(denoised).begin(), math.data(denoised).end(), 0.0f);
        return Status{};
    };
    const DenoiseUncond both = [&](const Latent& x, double sigma, double, const Latent& denoised,
                                   const Latent& uncond) -> Status {
        PUMICE_TRY(zero(x, sigma, denoised));
        return zero(x, sigma, uncond);
    };
    PUMICE_ASSIGN(const Latent x, math.create_latent());
    std::fill(math.data(x).begin(), math.data(x).end(), 1.0f);
    const Status status = sampler.run(
        {.math = math, .denoise = zero, .sigmas = sigmas, .on_step = std::move(on_step), .denoise_uncond = both}, x);
    CHECK(math.in_use() == 1);  // whatever happened, the sampler's tensors are gone
    return status;
}

}  // namespace pumice::test
