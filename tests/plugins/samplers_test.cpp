// The plugin that comes with Pumice, against the reference implementations' runs.
#include <algorithm>

#include "plugins/registry_fixture.hpp"
#include "plugins/sampler_cases.hpp"

using namespace pumice;
using namespace pumice::test;

TEST_CASE("samplers walk as the reference does") {
    const auto registry = make_registry(builtin_options());
    for (const SamplerCase& c : sampler_cases()) {
        INFO(c.name);
        const auto expected = golden("sampler/" + c.name + ".out");
        const auto start = golden("sampler/noise0");
        StoredNoise stored(c);
        CpuTensorMath math(expected.data.size(), std::ref(stored));
        CallChecker checker(c);
        const Denoise denoise = [&](const Latent& x, double sigma, const Latent& denoised) {
            analytic_model(math.data(x), sigma, math.data(denoised));
            checker(math.data(x), sigma);
            return Status{};
        };
        // The model knows no prompt.
        const DenoiseUncond denoise_uncond = [&](const Latent& x, double sigma, double scale, const Latent& denoised,
                                                 const Latent& uncond) {
            CHECK(scale == 1 / 12.5);
            analytic_model(math.data(x), sigma, math.data(uncond));
            return denoise(x, sigma, denoised);
        };
        const auto sampler = make_sampler(*registry, c.sampler, c.params);
        CHECK(sampler->unconditional() == (c.sampler == "ddim_cfgpp"));
        std::vector<float> sigmas = case_sigmas(c);
        if (sigmas.empty()) {
            const auto own = sampler->sigmas(SigmaTable::scaled_linear(), 8);
            REQUIRE(own);
            sigmas = *own;
        }
        auto x = math.create_latent();
        REQUIRE(x);
        for (std::size_t i = 0; i < expected.data.size(); ++i)
            math.data(*x)[i] = static_cast<float>(sampler->initial_scale(sigmas) * double(start.data[i]));
        std::vector<std::uint32_t> steps;
        const SamplerCall call{.math = math,
                               .denoise = denoise,
                               .sigmas = sigmas,
                               .on_step =
                                   [&steps](std::uint32_t step, std::uint32_t all) {
                                       CHECK(step < all);
                                       steps.push_back(step);
                                       return Status{};
                                   },
                               .denoise_uncond = denoise_uncond};
        const Status status = sampler->run(call, *x);
        INFO((status ? "" : status.error().message));
        REQUIRE(status);
        const bool adaptive = c.sampler == "dpm_adaptive";
        CHECK(worst_error(math.data(*x), expected.data, adaptive ? kAdaptiveAbsolute : kSamplerAbsolute,
                          kSamplerRelative) <= 1);
        CHECK(checker.calls() == checker.expected_calls());
        CHECK(stored.used_up());
        CHECK(!steps.empty());
        CHECK(std::is_sorted(steps.begin(), steps.end()));
        CHECK(math.in_use() == 1);  // the sampler gave its own latents back
    }
}

TEST_CASE("every sampler takes every schedule, and ends where it is told to") {
    const auto registry = make_registry(builtin_options());
    const SigmaTable table = SigmaTable::scaled_linear();
    REQUIRE(registry->sampler_names().size() == 23);
    REQUIRE(registry->schedule_names().size() == 14);
    for (const std::string& name : registry->sampler_names()) {
        for (const std::string& schedule : registry->schedule_names()) {
            INFO(name << " " << schedule);
            const auto sampler = make_sampler(*registry, name, {}, schedule);
            const auto sigmas = sampler->sigmas(table, 6);
            REQUIRE(sigmas);
            CHECK(run_plainly(*sampler, *sigmas));
        }
        INFO(name);
        const auto sampler = make_sampler(*registry, name);
        CHECK(run_plainly(*sampler, {2, 1, 0}));
        CHECK(run_plainly(*sampler, {2, 0}));
        CHECK(run_plainly(*sampler, {2}).error().code == Code::invalid_argument);
        CHECK(run_plainly(*sampler, {1, 2}).error().code == Code::invalid_argument);
        // Cancelling ends it at once, as cancelling and not as an error of the plugin's.
        std::uint32_t calls = 0;
        const Status cancelled =
            run_plainly(*sampler, {8, 6, 4, 3, 2, 1, 0}, [&calls](std::uint32_t, std::uint32_t) -> Status {
                if (++calls == 2) return Error{Code::cancelled, "cancelled"};
                return {};
            });
        CHECK(cancelled.error().code == Code::cancelled);
        CHECK(cancelled.error().message == "cancelled");
        CHECK(calls == 2);
    }
}

TEST_CASE("schedules are the reference's, and fall at any number of steps") {
    const auto registry = make_registry(builtin_options());
    auto options = builtin_options();
    options.family = "sdxl";
    const auto sdxl = make_registry(options);
    const SigmaTable table = SigmaTable::scaled_linear();
    constexpr double kRelative = 1e-5;
    for (const std::string& name : registry->schedule_names()) {
        for (const std::uint32_t steps : {1u, 5u, 10u, 20u, 30u}) {
            const std::string file = name == "ddim_uniform"            ? "ddim"
                                     : name == "align_your_steps_gits" ? "align_your_steps_GITS"
                                                                       : name;
            INFO(name << " " << steps);
            const auto sigmas = registry->make_sigmas(name, {}, table, steps);
            REQUIRE(sigmas);
            CHECK(worst_error(*sigmas, golden("schedule/" + file + "_" + std::to_string(steps)).data, 1e-9, kRelative) <=
                  1);
        }
        for (const std::uint32_t steps : {1u, 2u, 3u, 7u, 150u, 999u, 1000u}) {
            INFO(name << " " << steps);
            const auto sigmas = registry->make_sigmas(name, {}, table, steps);
            REQUIRE(sigmas);
            CHECK((sigmas->back() == 0 || name == "kl_optimal"));
            CHECK(std::is_sorted(sigmas->rbegin(), sigmas->rend()));
            CHECK((*sigmas)[sigmas->size() - 2] > 0);
        }
        CHECK(registry->make_sigmas(name, {}, table, 0).error().code == Code::invalid_argument);
        CHECK(registry->make_sigmas(name, {}, table, 1001).error().code == Code::invalid_argument);
    }
    for (const std::string rho : {"3", "5"}) {
        const auto sigmas = registry->make_sigmas("karras", std::vector<std::string>{"schedule.rho=" + rho}, table, 12);
        REQUIRE(sigmas);
        CHECK(worst_error(*sigmas, golden("schedule/karras_rho" + rho + "_12").data, 1e-9, kRelative) <= 1);
    }
    for (const auto& [name, file] : {std::pair<std::string, std::string>{"align_your_steps", "align_your_steps"},
                                     {"align_your_steps_32", "align_your_steps_32"},
                                     {"align_your_steps_gits", "align_your_steps_GITS"}}) {
        INFO(name);
        for (const std::uint32_t steps : {5u, 20u}) {
            const auto sigmas = sdxl->make_sigmas(name, {}, table, steps);
            REQUIRE(sigmas);
            CHECK(worst_error(*sigmas, golden("schedule/" + file + "_sdxl_" + std::to_string(steps)).data, 1e-9,
                              kRelative) <= 1);
        }
    }
}

TEST_CASE("ddim has the time steps of A1111") {
    const auto registry = make_registry(builtin_options());
    const SigmaTable table = SigmaTable::scaled_linear();
    const auto ddim = make_sampler(*registry, "ddim", {}, "karras");
    for (const std::uint32_t steps : {5u, 10u, 20u}) {
        INFO(steps << " steps");
        auto sigmas = ddim->sigmas(table, steps);
        REQUIRE(sigmas);
        std::reverse(sigmas->begin(), sigmas->end());
        std::vector<double> timesteps;
        for (const float sigma : *sigmas) timesteps.push_back(table.sigma_to_t(double(sigma)));
        CHECK(worst_error(timesteps, golden("schedule/ddim_timesteps_" + std::to_string(steps)).data, 1e-6, 0) <= 1);
    }
    CHECK(ddim->sigmas(table, 30)->size() == 31);
    CHECK(ddim->sigmas(table, 1000)->front() == table.sigmas()[999]);  // the thousandth is cut to the last
    CHECK(ddim->sigmas(table, 1).error().code == Code::invalid_argument);
}

TEST_CASE("names and parameters are checked, each error one line") {
    const auto registry = make_registry(builtin_options());
    const auto error = [&](const std::string& sampler, const std::string& schedule, const std::string& param) {
        const std::vector<std::string> params(param.empty() ? 0 : 1, param);
        const auto made = registry->make_sampler(sampler, schedule, params, {});
        REQUIRE_FALSE(made);
        return made.error().message;
    };
    CHECK(error("eular", "normal", "").rfind("no sampler is called \"eular\"; there are euler, euler_a, ", 0) == 0);
    CHECK(error("euler", "carras", "").rfind("no schedule is called \"carras\"; there are normal, karras, ", 0) == 0);
    CHECK(error("euler", "timesteps", "").rfind("no schedule is called \"timesteps\"", 0) == 0);
    CHECK(error("euler_a", "normal", "sampler.s_churn=1") ==
          "plugin parameter sampler.s_churn: the sampler euler_a has no such parameter; it has eta, s_noise");
    CHECK(error("dpmpp_2m", "normal", "sampler.eta=1") ==
          "plugin parameter sampler.eta: the sampler dpmpp_2m has no such parameter; it has none");
    CHECK(error("euler", "normal", "sampler.s_churn=101") ==
          "plugin parameter sampler.s_churn: 101 is not a number from 0 to 100");
    CHECK(error("euler", "normal", "sampler.s_churn=nan") ==
          "plugin parameter sampler.s_churn: nan is not a number from 0 to 100");
    CHECK(error("euler", "normal", "sampler.s_churn=") ==
          "plugin parameter sampler.s_churn: \"\" is not a number from 0 to 100");
    CHECK(error("lms", "normal", "sampler.order=2.5") ==
          "plugin parameter sampler.order: 2.5 is not a whole number from 1 to 4");
    CHECK(error("unipc", "normal", "sampler.variant=bh3") ==
          "plugin parameter sampler.variant: bh3 is not one of bh1, bh2");
    CHECK(error("unipc", "normal", "sampler.lower_order_final=maybe") ==
          "plugin parameter sampler.lower_order_final: maybe is not true or false");
    CHECK(error("euler", "karras", "schedule.rho=0") == "plugin parameter schedule.rho: 0 is not a number from 1 to 20");
    CHECK(error("euler", "karras", "rho=3") ==
          "plugin parameter rho=3: write KIND.NAME=VALUE, as sampler.eta=0.5");
    CHECK(error("euler", "karras", "upscale.rho=3") ==
          "plugin parameter upscale.rho=3: it must begin with one of sampler., schedule., guidance., control., upscaler., "
          "preprocessor., image_filter.");
    // The last one given counts.
    CHECK(registry->make_sampler("euler", "karras", std::vector<std::string>{"schedule.rho=9", "schedule.rho=7"}, {}));
}
