// A small picture through the whole core, with a sampler of the test's own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "catch.hpp"
#include "models/model.hpp"
#include "pipelines/text_to_image.hpp"

namespace pumice::test {

/// Euler's method, over evenly spaced time steps.
class EulerSampler final : public Sampler {
public:
    Result<std::vector<float>> sigmas(const SigmaTable& table, std::uint32_t steps) override {
        std::vector<float> levels;
        for (std::uint32_t i = 0; i < steps; ++i)
            levels.push_back(static_cast<float>(table.t_to_sigma(999.0 * (steps - i) / steps)));
        levels.push_back(0);
        return levels;
    }
    double initial_scale(std::span<const float> sigmas) const override { return double(sigmas.front()); }
    std::uint32_t calls_per_step() const override { return 1; }
    Status run(const SamplerCall& call, const Latent& x) override {
        PUMICE_ASSIGN(const Latent denoised, call.math.create_latent());
        for (std::size_t i = 0; i + 1 < call.sigmas.size(); ++i) {
            const double now = double(call.sigmas[i]), share = double(call.sigmas[i + 1]) / now;
            PUMICE_TRY(call.denoise(x, now, denoised));
            PUMICE_TRY(call.math.combine(x, {{share, x}, {1 - share, denoised}}));
            if (call.on_step)
                PUMICE_TRY(call.on_step(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(call.sigmas.size() - 1)));
        }
        return {};
    }
};

inline TextToImageRequest small_request(std::uint32_t side = 64, std::uint32_t steps = 1) {
    TextToImageRequest request;
    request.prompt = "a boat";
    request.width = request.height = side;
    request.steps = steps;
    request.seed = 3;
    request.sampler = std::make_shared<EulerSampler>();
    return request;
}

}  // namespace pumice::test
