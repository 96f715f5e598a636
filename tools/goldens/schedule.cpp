#include <algorithm>
#include <map>
#include <regex>

#include "diffusion/schedule.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

constexpr Tolerance kRelative{0, 1e-5};

Status compare_file(Suite& suite, const std::string& name, const std::vector<float>& got) {
    PUMICE_ASSIGN(const auto expected, suite.npy(name + ".npy"));
    suite.compare(name, got, expected.data, kRelative);
    return {};
}

/// A function of one variable, at the points of `points`.
Status probe(Suite& suite, const std::string& name, const std::string& points, const std::function<double(double)>& f) {
    PUMICE_ASSIGN(const auto at, suite.npy("schedule/" + points + ".npy"));
    std::vector<float> got;
    for (const float x : at.data) got.push_back(static_cast<float>(f(x)));
    suite.helper("schedule/" + points);
    return compare_file(suite, name, got);
}

/// A run of the schedule plugin for each stored list.
Status made_cases(Suite& suite, const SigmaTable& table) {
    PUMICE_ASSIGN(const auto plugins, suite.plugins());
    PUMICE_ASSIGN(const auto sdxl, suite.plugins("sdxl"));
    // Names that the web UI has for what has another here.
    const std::map<std::string, std::string> same = {{"uniform", "normal"},
                                                     {"align_your_steps_11", "align_your_steps"},
                                                     {"align_your_steps_GITS", "align_your_steps_gits"}};
    const std::regex scheduled("([a-zA-Z_]+?(?:_11|_32)?)(_sdxl)?_(\\d+)\\.npy"), rho("karras_rho(\\d+)_(\\d+)\\.npy"),
        ddim("ddim_timesteps_(\\d+)\\.npy");
    const auto& names = plugins->schedule_names();
    for (const std::string& file : suite.files("schedule")) {
        const std::string name = "schedule/" + file.substr(0, file.size() - 4);
        std::smatch m;
        std::string schedule;
        std::vector<std::string> params;
        std::uint32_t steps = 0;
        bool times = false, xl = false;
        const auto plain = [&](const std::string& theirs) {
            const auto known = same.find(theirs);
            return known == same.end() ? theirs : known->second;
        };
        if (std::regex_match(file, m, rho)) {
            schedule = "karras";
            params = {"schedule.rho=" + m[1].str()};
            steps = static_cast<std::uint32_t>(std::stoul(m[2]));
        } else if (std::regex_match(file, m, ddim)) {
            schedule = "timesteps";
            times = true;
            steps = static_cast<std::uint32_t>(std::stoul(m[1]));
        } else if (std::regex_match(file, m, scheduled) &&
                   std::find(names.begin(), names.end(), plain(m[1])) != names.end()) {
            schedule = plain(m[1]);
            xl = m[2].matched;
            steps = static_cast<std::uint32_t>(std::stoul(m[3]));
        }
        if (schedule.empty() || !suite.wanted(name)) continue;
        suite.run(name, [&]() -> Status {
            PUMICE_ASSIGN(auto sigmas, (xl ? sdxl : plugins)->make_sigmas(schedule, params, table, steps));
            if (times) {  // stored as rising time steps
                std::reverse(sigmas.begin(), sigmas.end());
                for (float& sigma : sigmas) sigma = static_cast<float>(table.sigma_to_t(double(sigma)));
            }
            return compare_file(suite, name, sigmas);
        });
    }
    return {};
}

}  // namespace

void schedule_cases(Suite& suite) {
    const SigmaTable table = SigmaTable::scaled_linear();
    const auto check = [&](const std::string& name, const std::function<Status()>& f) {
        if (suite.exists(name + ".npy") && suite.wanted(name)) suite.run(name, f);
    };
    check("schedule/alphas_cumprod", [&] {
        return compare_file(suite, "schedule/alphas_cumprod",
                            {table.alphas_cumprod().begin(), table.alphas_cumprod().end()});
    });
    check("schedule/sigmas_table", [&] {
        return compare_file(suite, "schedule/sigmas_table", {table.sigmas().begin(), table.sigmas().end()});
    });
    check("schedule/sigmas_table_forge", [&] {
        const SigmaTable forge = SigmaTable::scaled_linear(0.00085, 0.012, 1000, TableRounding::sigmas);
        return compare_file(suite, "schedule/sigmas_table_forge", {forge.sigmas().begin(), forge.sigmas().end()});
    });
    check("schedule/sigmas_table_zsnr", [&] {
        const SigmaTable zero = SigmaTable::zero_terminal_snr();
        return compare_file(suite, "schedule/sigmas_table_zsnr", {zero.sigmas().begin(), zero.sigmas().end()});
    });
    check("schedule/probe_t_kdiff", [&] {
        return probe(suite, "schedule/probe_t_kdiff", "probe_sigma", [&](double s) { return table.sigma_to_t(s); });
    });
    check("schedule/probe_t_nearest", [&] {
        return probe(suite, "schedule/probe_t_nearest", "probe_sigma",
                     [&](double s) { return table.sigma_to_t(s, TimestepRounding::nearest); });
    });
    check("schedule/probe_t_to_sigma", [&] {
        return probe(suite, "schedule/probe_t_to_sigma", "probe_t", [&](double t) { return table.t_to_sigma(t); });
    });

    suite.run("schedule", [&] { return made_cases(suite, table); });
}

}  // namespace pumice::goldens
