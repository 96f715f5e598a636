#include "diffusion/sampler.hpp"

#include <cmath>
#include <vector>

#include "catch.hpp"
#include "diffusion/cpu_tensor_math.hpp"
#include "diffusion/denoiser.hpp"

using namespace pumice;

TEST_CASE("sigmas that no sampler can walk down are refused") {
    for (const std::vector<float>& sigmas : std::vector<std::vector<float>>{
             {}, {1}, {1, 2}, {2, 0, 0}, {2, 1, -1}, {NAN, 0}, {HUGE_VALF, 1, 0}, {2, 0, 1}})
        CHECK(check_sigmas(sigmas).error().code == Code::invalid_argument);
    for (const std::vector<float>& sigmas : std::vector<std::vector<float>>{{2, 1, 0}, {3, 2, 2, 1, 0}, {2, 0}, {2, 1}})
        CHECK(check_sigmas(sigmas));
}

TEST_CASE("a linear combination checks its arguments") {
    CpuTensorMath math(4, {}), other(4, {});
    auto x = math.create_latent(), y = other.create_latent();
    REQUIRE(x);
    REQUIRE(y);
    CHECK(math.linear_combination(*x, {}).error().code == Code::invalid_argument);
    const std::vector<LatentTerm> nine(9, LatentTerm{1, *x});
    CHECK(math.linear_combination(*x, nine).error().code == Code::invalid_argument);
    CHECK(math.linear_combination(*x, std::span(nine).first(8)));
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
