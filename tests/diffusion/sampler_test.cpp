#include "diffusion/sampler.hpp"

#include "diffusion/cpu_tensor_math.hpp"
#include "diffusion/denoiser.hpp"
#include "diffusion/sampler_cases.hpp"

using namespace pumice;

TEST_CASE("samplers walk as the reference does") {
    for (const SamplerCase& c : sampler_cases()) {
        INFO(c.name);
        const auto expected = golden("sampler/" + c.name + ".out");
        const auto start = golden("sampler/noise0");
        StoredNoise stored(c);
        CpuTensorMath math(expected.data.size(), std::ref(stored));
        CallChecker checker(c);
        const Denoise denoise = [&](const Latent& x, double sigma, const Latent& denoised) {
            analytic_model(math.data(x), sigma, math.data(denoised));
            checker(math.data(x), sigma, math.data(denoised));
            return Status{};
        };
        const auto sampler = find_sampler(c.sampler);
        REQUIRE(sampler);
        const std::vector<float> sigmas = case_sigmas(c);
        auto x = math.create_latent();
        REQUIRE(x);
        for (std::size_t i = 0; i < expected.data.size(); ++i)
            math.data(*x)[i] = static_cast<float>(initial_scale(**sampler, sigmas) * double(start.data[i]));
        std::vector<std::uint32_t> steps;
        const SamplerCall call{math, denoise, sigmas, c.options, [&steps](std::uint32_t step) {
                                   steps.push_back(step);
                                   return Status{};
                               }};
        REQUIRE(sample(**sampler, call, *x));
        CHECK(worst_error(math.data(*x), expected.data, kSamplerAbsolute, kSamplerRelative) <= 1);
        CHECK(checker.calls() == checker.expected_calls());
        CHECK(stored.used_up());
        CHECK(steps.size() == sigmas.size() - 1);
        CHECK(math.in_use() == 1);  // the sampler gave its own latents back
    }
}

namespace {

/// Runs `sampler` over `sigmas` with a model that always gives zero.
Status run(const Sampler& sampler, const std::vector<float>& sigmas, const SamplerOptions& options = {},
           std::function<Status(std::uint32_t)> on_step = {}) {
    CpuTensorMath math(4, [](std::span<float> out) {
        std::fill(out.begin(), out.end(), 1.0f);
        return Status{};
    });
    const Denoise zero = [&math](const Latent&, double, const Latent& denoised) {
        std::fill(math.data(denoised).begin(), math.data(denoised).end(), 0.0f);
        return Status{};
    };
    PUMICE_ASSIGN(const Latent x, math.create_latent());
    return sample(sampler, {math, zero, sigmas, options, std::move(on_step)}, x);
}

}  // namespace

TEST_CASE("samplers refuse sigmas they cannot walk down") {
    for (const Sampler& sampler : builtin_samplers()) {
        INFO(sampler.name);
        for (const std::vector<float>& sigmas : std::vector<std::vector<float>>{
                 {}, {1}, {1, 2}, {2, 0, 0}, {2, 1, -1}, {NAN, 0}, {HUGE_VALF, 1, 0}, {2, 0, 1}})
            CHECK(run(sampler, sigmas).error().code == Code::invalid_argument);
        CHECK(run(sampler, {2, 1, 0}));
        CHECK(run(sampler, {3, 2, 2, 1, 0}));  // equal ones: a step that does nothing
        CHECK(run(sampler, {2, 0}));
    }
}

TEST_CASE("errors and cancelling end a sampler at once") {
    for (const Sampler& sampler : builtin_samplers()) {
        INFO(sampler.name);
        std::uint32_t last = 99;
        const Status status = run(sampler, {4, 3, 2, 1, 0}, {}, [&last](std::uint32_t step) -> Status {
            last = step;
            if (step == 1) return Error{Code::cancelled, "cancelled"};
            return {};
        });
        CHECK(status.error().code == Code::cancelled);
        CHECK(last == 1);
    }
}

TEST_CASE("samplers are found by name") {
    CHECK(sampler_names() == std::vector<std::string_view>{"euler", "euler_a", "dpmpp_2m", "ddim"});
    CHECK((*find_sampler("dpmpp_2m"))->name == "dpmpp_2m");
    CHECK(find_sampler("dpmpp").error().message ==
          "no sampler is called \"dpmpp\"; there are euler, euler_a, dpmpp_2m, ddim");
    const SigmaTable table = SigmaTable::scaled_linear();
    CHECK(sampler_sigmas(**find_sampler("ddim"), "karras", table, 20)->back() > 0);
    CHECK(sampler_sigmas(**find_sampler("euler"), "karras", table, 20)->back() == 0);
    CHECK(sampler_sigmas(**find_sampler("euler"), "none", table, 20).error().code == Code::not_found);
}

TEST_CASE("a linear combination checks its arguments") {
    CpuTensorMath math(4, {}), other(4, {});
    auto x = math.create_latent(), y = other.create_latent();
    REQUIRE(x);
    REQUIRE(y);
    CHECK(math.linear_combination(*x, {}).error().code == Code::invalid_argument);
    CHECK(math.combine(*x, {{1, *x}, {1, *x}, {1, *x}, {1, *x}, {1, *x}}).error().code == Code::invalid_argument);
    CHECK(math.combine(*x, {{1, *y}}).error().code == Code::invalid_argument);
    CHECK(math.combine(*y, {{1, *x}}).error().code == Code::invalid_argument);
    CHECK(math.combine(*x, {{NAN, *x}}).error().code == Code::invalid_argument);
    CHECK(math.combine(*x, {{2, *x}}));
}

TEST_CASE("the denoiser's scalings undo what noise does") {
    // A network that knows picture p and noise e answers e, or v = alpha e - sigma' p on the scaled sample.
    const double p = 0.7, e = -1.3;
    for (const double sigma : {0.03, 1.0, 14.6}) {
        const double x = p + sigma * e, total = std::sqrt(1 + sigma * sigma);
        const double v = e / total - sigma / total * p;
        const DenoiserScalings eps_form = denoiser_scalings(Prediction::eps, sigma);
        const DenoiserScalings v_form = denoiser_scalings(Prediction::v, sigma);
        CHECK(eps_form.c_skip * x + eps_form.c_out * e == Approx(p));
        CHECK(v_form.c_skip * x + v_form.c_out * v == Approx(p));
        CHECK(eps_form.c_in * total == Approx(1));
        CHECK(v_form.c_in * total == Approx(1));
    }
}
