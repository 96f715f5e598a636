// Methods of guidance as plugins: against their formulas, and what is refused.
#include "plugins/guidance_cases.hpp"

#include "diffusion/rng.hpp"
#include "plugins/registry_fixture.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

std::unique_ptr<Guidance> make_guidance(plugins::Registry& registry, const std::string& name,
                                        const std::vector<std::string>& params = {}) {
    auto guidance = registry.make_guidance(name, params, {});
    INFO((guidance ? "" : guidance.error().message));
    REQUIRE(guidance);
    return *std::move(guidance);
}

}  // namespace

TEST_CASE("methods of guidance are what their papers say") {
    const auto registry = make_registry(builtin_options());
    CHECK(registry->guidance_names() ==
          std::vector<std::string>{"rescale", "dynamic_threshold", "perturbed_attention"});
    constexpr std::size_t kCount = 4 * 7 * 9;
    CpuTensorMath math(kCount, [](std::span<float>) { return Status(Error{Code::internal, "no noise here"}); });
    std::vector<Latent> latents;  // x, cond, uncond, perturbed, denoised
    for (std::uint64_t i = 0; i < 5; ++i) {
        auto latent = math.create_latent();
        REQUIRE(latent);
        latents.push_back(*std::move(latent));
    }
    for (const GuidanceCase& c : guidance_cases()) {
        INFO(c.name << " at scale " << c.scale);
        std::vector<std::vector<float>> given;
        for (std::uint64_t i = 0; i < 4; ++i) {
            given.emplace_back(kCount);
            NoiseSource(RngKind::philox, 10 + i).normal(given[i]);
            std::copy(given[i].begin(), given[i].end(), math.data(latents[i]).begin());
        }
        const auto guidance = make_guidance(*registry, c.name, c.params);
        const bool third = c.name == "perturbed_attention";
        CHECK(guidance->perturbed_blocks().empty() == !third);
        // Every step is a call of its own to one instance.
        for (int step = 0; step < 2; ++step) {
            for (std::size_t i = 0; i < 4; ++i)
                std::copy(given[i].begin(), given[i].end(), math.data(latents[i]).begin());
            const Status status = guidance->run({.math = math,
                                                 .x = latents[0],
                                                 .cond = latents[1],
                                                 .uncond = latents[2],
                                                 .perturbed = third ? &latents[3] : nullptr,
                                                 .denoised = latents[4],
                                                 .sigma = c.sigma,
                                                 .scale = c.scale});
            INFO((status ? "" : status.error().message));
            REQUIRE(status);
            const std::vector<double> want = c.reference(c, given[0], given[1], given[2], given[3]);
            double worst = 0;
            for (std::size_t i = 0; i < kCount; ++i)
                worst = std::max(worst, std::fabs(double(math.data(latents[4])[i]) - want[i]));
            CHECK(worst < 2e-5 * c.scale);
            CHECK(math.in_use() == 5);  // the plugin's own tensors are gone
        }
    }
}

TEST_CASE("plain guidance comes out where a method leaves it alone") {
    const auto registry = make_registry(builtin_options());
    CpuTensorMath math(16, [](std::span<float>) { return Status{}; });
    const auto x = math.create_latent(), cond = math.create_latent(), denoised = math.create_latent();
    REQUIRE(x);
    REQUIRE(cond);
    REQUIRE(denoised);
    for (std::size_t i = 0; i < 16; ++i) math.data(*cond)[i] = static_cast<float>(i);
    // Without guidance there is one answer, which is also the one without the prompt.
    for (const std::string name : {"rescale", "dynamic_threshold"}) {
        INFO(name);
        const auto guidance = make_guidance(*registry, name);
        REQUIRE(guidance->run({.math = math,
                               .x = *x,
                               .cond = *cond,
                               .uncond = *cond,
                               .perturbed = nullptr,
                               .denoised = *denoised,
                               .sigma = 2,
                               .scale = 1}));
        for (std::size_t i = 0; i < 16; ++i) CHECK(math.data(*denoised)[i] == Approx(double(i)).margin(1e-4));
    }
}

TEST_CASE("guidance that cannot be made says why") {
    const auto registry = make_registry(builtin_options());
    const auto error = [&](const std::string& name, const std::string& param) {
        const auto made = registry->make_guidance(name, std::vector<std::string>{param}, {});
        REQUIRE(!made);
        return made.error().message;
    };
    CHECK(error("resale", "guidance.phi=1") ==
          "no guidance is called \"resale\"; there are rescale, dynamic_threshold, perturbed_attention");
    CHECK(error("rescale", "guidance.phi=2") == "plugin parameter guidance.phi: 2 is not a number from 0 to 1");
    CHECK(error("rescale", "guidance.rho=1") ==
          "plugin parameter guidance.rho: the guidance rescale has no such parameter; it has phi");
    CHECK(error("perturbed_attention", "guidance.blocks=middle") ==
          "plugin pumice.guidance: guidance perturbed_attention: perturbed_blocks: middle is no block of a UNet; write "
          "middle_block, input_blocks.N or output_blocks.N");
    CHECK(error("perturbed_attention", "guidance.blocks=") ==
          "plugin pumice.guidance: guidance perturbed_attention: perturbed_blocks: no block is named");
}

TEST_CASE("channels of latents are measured as they are") {
    CpuTensorMath math(4 * 5, [](std::span<float>) { return Status{}; });
    const auto x = math.create_latent();
    REQUIRE(x);
    const std::vector<float> channel = {1, 2, 4, 8, 10};  // mean 5, distances 4 3 1 3 5
    for (std::size_t i = 0; i < 20; ++i) math.data(*x)[i] = channel[i % 5] * static_cast<float>(1 + i / 5);
    const auto spreads = math.spreads(*x, 0.625);
    REQUIRE(spreads);
    REQUIRE(spreads->size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        const auto times = static_cast<double>(1 + i);
        CHECK((*spreads)[i].mean == Approx(5 * times));
        CHECK((*spreads)[i].deviation == Approx(std::sqrt(15.0) * times));
        CHECK((*spreads)[i].largest == Approx(5 * times));
        CHECK((*spreads)[i].quantile == Approx(3.5 * times));  // at 2.5 of 1 3 3 4 5
    }
    CHECK(math.spreads(*x, 1.5).error().code == Code::invalid_argument);
    const std::vector<ChannelAffine> three(3), none(4, ChannelAffine{.scale = NAN});
    CHECK(math.affine(*x, *x, three).error().code == Code::invalid_argument);
    CHECK(math.affine(*x, *x, none).error().code == Code::invalid_argument);
}
