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

TEST_CASE("the table of models trained up to pure noise") {
    const SigmaTable table = SigmaTable::zero_terminal_snr(), usual = SigmaTable::scaled_linear();
    CHECK(table.size() == 1000);
    // The first level stays, the last is sqrt((1 - a) / a) of a = 4.8973451890853435e-08.
    CHECK(table.sigma_min() == Approx(usual.sigma_min()).epsilon(1e-5));
    CHECK(table.sigma_max() == Approx(4518.765).epsilon(1e-5));
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        if (i > 0) REQUIRE(table.sigmas()[i] > table.sigmas()[i - 1]);
        if (i > 0) REQUIRE(table.sigmas()[i] > usual.sigmas()[i]);
    }
    CHECK(table.sigma_to_t(table.sigma_max()) == 999);
}
