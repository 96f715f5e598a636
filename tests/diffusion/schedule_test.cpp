#include "diffusion/schedule.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "diffusion/golden.hpp"

using namespace pumice;

namespace {
constexpr double kRelative = 1e-5, kAbsolute = 1e-30;  // the absolute part only keeps 0 == 0 from dividing by 0
}

TEST_CASE("the sigma table is ldm's and k-diffusion's") {
    const SigmaTable table = SigmaTable::scaled_linear();
    CHECK(worst_error(table.alphas_cumprod(), golden("schedule/alphas_cumprod").data, kAbsolute, kRelative) <= 1);
    CHECK(worst_error(table.sigmas(), golden("schedule/sigmas_table").data, kAbsolute, kRelative) <= 1);
    CHECK(table.size() == 1000);
    CHECK(table.sigma_max() == Approx(14.614642).epsilon(1e-6));
}

TEST_CASE("sigma_to_t and t_to_sigma at the stored probes") {
    const SigmaTable table = SigmaTable::scaled_linear();
    const auto sigmas = golden("schedule/probe_sigma"), times = golden("schedule/probe_t");
    std::vector<double> t, nearest, sigma;
    for (const float s : sigmas.data) {
        t.push_back(table.sigma_to_t(double(s)));
        nearest.push_back(table.sigma_to_t(double(s), TimestepRounding::nearest));
    }
    for (const float time : times.data) sigma.push_back(table.t_to_sigma(double(time)));
    // Time steps carry the float32 rounding of their reference's logarithms: 1e-4 of a step.
    CHECK(worst_error(t, golden("schedule/probe_t_kdiff").data, 1e-4, kRelative) <= 1);
    CHECK(worst_error(nearest, golden("schedule/probe_t_nearest").data, kAbsolute, 0) <= 1);
    CHECK(worst_error(sigma, golden("schedule/probe_t_to_sigma").data, kAbsolute, kRelative) <= 1);
}

TEST_CASE("every time step goes to its sigma and back") {
    const SigmaTable table = SigmaTable::scaled_linear();
    int wrong = 0;
    for (std::uint32_t t = 0; t < table.size(); ++t) {
        wrong += table.sigma_to_t(double(table.sigmas()[t])) != t;
        wrong += table.sigma_to_t(double(table.sigmas()[t]), TimestepRounding::nearest) != t;
        wrong += static_cast<float>(table.t_to_sigma(t)) != table.sigmas()[t];
    }
    CHECK(wrong == 0);
    CHECK(table.sigma_to_t(1e-9) == 0);
    CHECK(table.sigma_to_t(1e9) == 999);
    CHECK(table.t_to_sigma(-1) == table.t_to_sigma(0));
    CHECK(table.t_to_sigma(2000) == table.t_to_sigma(999));
}

TEST_CASE("schedules are the reference's") {
    const SigmaTable table = SigmaTable::scaled_linear();
    for (const std::string_view name : schedule_names()) {
        for (const std::uint32_t steps : {1u, 5u, 10u, 20u, 30u}) {
            const std::string file = fmt::format("schedule/{}_{}", name, steps);
            INFO(file);
            const auto sigmas = make_sigmas(name, table, steps);
            REQUIRE(sigmas);
            CHECK(worst_error(*sigmas, golden(file).data, kAbsolute, kRelative) <= 1);
        }
    }
    for (const int rho : {3, 5})
        CHECK(worst_error(karras_sigmas(table.sigma_min(), table.sigma_max(), 12, rho),
                          golden(fmt::format("schedule/karras_rho{}_12", rho)).data, kAbsolute, kRelative) <= 1);
}

TEST_CASE("ddim has the time steps of A1111") {
    const SigmaTable table = SigmaTable::scaled_linear();
    for (const std::uint32_t steps : {5u, 10u, 20u}) {
        INFO(steps << " steps");
        const auto timesteps = ddim_timesteps(table, steps);
        const auto sigmas = ddim_sigmas(table, steps);
        REQUIRE(timesteps);
        REQUIRE(sigmas);
        CHECK(worst_error(*timesteps, golden(fmt::format("schedule/ddim_timesteps_{}", steps)).data, kAbsolute, 0) <=
              1);
        REQUIRE(sigmas->size() == timesteps->size());
        CHECK(sigmas->front() == table.sigmas()[timesteps->back()]);
        CHECK(sigmas->back() == table.sigmas()[1]);
    }
    CHECK(ddim_timesteps(table, 30)->size() == 31);
    CHECK(ddim_timesteps(table, 1000)->back() == 999);  // the thousandth is cut to the last
    CHECK(ddim_sigmas(table, 1).error().code == Code::invalid_argument);
}

TEST_CASE("every schedule falls to zero at any number of steps") {
    const SigmaTable table = SigmaTable::scaled_linear();
    for (const Schedule& schedule : schedules()) {
        for (const std::uint32_t steps : {1u, 2u, 3u, 7u, 150u, 999u, 1000u}) {
            INFO(schedule.name << " " << steps);
            const std::vector<float> sigmas = schedule.make(table, steps);
            CHECK(sigmas.back() == 0);
            CHECK(std::is_sorted(sigmas.rbegin(), sigmas.rend()));
            CHECK(sigmas[sigmas.size() - 2] > 0);
        }
    }
}

TEST_CASE("schedules refuse what they cannot do") {
    const SigmaTable table = SigmaTable::scaled_linear();
    CHECK(make_sigmas("karras", table, 0).error().code == Code::invalid_argument);
    CHECK(make_sigmas("karras", table, 1001).error().code == Code::invalid_argument);
    CHECK(ddim_timesteps(table, 0).error().code == Code::invalid_argument);
    const auto unknown = make_sigmas("carras", table, 20);
    CHECK(unknown.error().code == Code::not_found);
    CHECK(unknown.error().message ==
          "no schedule is called \"carras\"; there are normal, karras, exponential, simple, "
          "sgm_uniform, ddim");
}
