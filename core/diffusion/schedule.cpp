#include "diffusion/schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "base/exact_math.hpp"

namespace pumice {
namespace {

/// count numbers from first to last; one number: first.
double linspace(double first, double last, std::uint32_t i, std::uint32_t count) {
    return count < 2 ? first : first + (last - first) * i / (count - 1);
}

/// k-diffusion's get_sigmas: time steps evenly from the last to the first.
std::vector<float> normal(const SigmaTable& table, std::uint32_t steps) {
    std::vector<float> sigmas(steps + 1);
    for (std::uint32_t i = 0; i < steps; ++i)
        sigmas[i] = static_cast<float>(table.t_to_sigma(linspace(table.size() - 1, 0, i, steps)));
    return sigmas;
}

std::vector<float> karras(const SigmaTable& table, std::uint32_t steps) {
    return karras_sigmas(table.sigma_min(), table.sigma_max(), steps);
}

/// Evenly in log sigma.
std::vector<float> exponential(const SigmaTable& table, std::uint32_t steps) {
    const double from = exact::log(table.sigma_max()), to = exact::log(table.sigma_min());
    std::vector<float> sigmas(steps + 1);
    for (std::uint32_t i = 0; i < steps; ++i) sigmas[i] = static_cast<float>(exact::exp(linspace(from, to, i, steps)));
    return sigmas;
}

/// ComfyUI's "simple": every (size / steps)-th of the table from its end.
std::vector<float> simple(const SigmaTable& table, std::uint32_t steps) {
    const double stride = double(table.size()) / steps;
    std::vector<float> sigmas(steps + 1);
    for (std::uint32_t i = 0; i < steps; ++i)
        sigmas[i] = table.sigmas()[table.size() - 1 - static_cast<std::uint32_t>(i * stride)];
    return sigmas;
}

/// As Stability's generative-models: `normal` of one step more, without its last.
std::vector<float> sgm_uniform(const SigmaTable& table, std::uint32_t steps) {
    std::vector<float> sigmas(steps + 1);
    for (std::uint32_t i = 0; i < steps; ++i)
        sigmas[i] = static_cast<float>(table.t_to_sigma(linspace(table.size() - 1, 0, i, steps + 1)));
    return sigmas;
}

/// A1111's "DDIM" schedule for samplers that end at 0: time steps 1, 1 + s, …, downwards.
std::vector<float> ddim(const SigmaTable& table, std::uint32_t steps) {
    const std::uint32_t stride = std::max(table.size() / steps, 1u);
    std::vector<float> sigmas{0.0f};
    for (std::uint32_t t = 1; t < table.size(); t += stride) sigmas.push_back(table.sigmas()[t]);
    std::reverse(sigmas.begin(), sigmas.end());
    return sigmas;
}

constexpr std::array<Schedule, 6> kSchedules{{{"normal", normal},
                                              {"karras", karras},
                                              {"exponential", exponential},
                                              {"simple", simple},
                                              {"sgm_uniform", sgm_uniform},
                                              {"ddim", ddim}}};

Status check_steps(const SigmaTable& table, std::uint32_t steps) {
    if (steps >= 1 && steps <= table.size()) return {};
    return Error{Code::invalid_argument, fmt::format("steps is {}, must be 1 to {}", steps, table.size())};
}

}  // namespace

SigmaTable SigmaTable::scaled_linear(double first, double last, std::uint32_t steps) {
    SigmaTable table;
    double product = 1;
    for (std::uint32_t i = 0; i < steps; ++i) {
        const double root = linspace(std::sqrt(first), std::sqrt(last), i, steps);
        product *= 1 - root * root;
        const float alpha = static_cast<float>(product);
        // From the float, not from the product: near 1 the rounding moves sigma by more than its own.
        const float sigma = static_cast<float>(std::sqrt((1 - double(alpha)) / double(alpha)));
        table.alphas_cumprod_.push_back(alpha);
        table.sigmas_.push_back(sigma);
        table.log_sigmas_.push_back(exact::log(double(sigma)));
    }
    return table;
}

double SigmaTable::sigma_to_t(double sigma, TimestepRounding rounding) const {
    const double log_sigma = exact::log(sigma);
    if (!(log_sigma > log_sigmas_.front())) return 0;
    if (log_sigma >= log_sigmas_.back()) return size() - 1;
    const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), log_sigma);
    const double low = *(above - 1), high = *above, t = static_cast<double>(above - log_sigmas_.begin() - 1);
    if (rounding == TimestepRounding::nearest) return log_sigma - low <= high - log_sigma ? t : t + 1;
    return t + (log_sigma - low) / (high - low);
}

double SigmaTable::t_to_sigma(double t) const {
    const double clamped = std::clamp(t, 0.0, double(size() - 1));
    const auto low = static_cast<std::size_t>(clamped), high = std::min<std::size_t>(low + 1, size() - 1);
    const double weight = clamped - static_cast<double>(low);
    return exact::exp((1 - weight) * log_sigmas_[low] + weight * log_sigmas_[high]);
}

std::span<const Schedule> schedules() {
    return kSchedules;
}

std::vector<std::string_view> schedule_names() {
    std::vector<std::string_view> names;
    for (const Schedule& schedule : kSchedules) names.push_back(schedule.name);
    return names;
}

Result<std::vector<float>> make_sigmas(std::string_view schedule, const SigmaTable& table, std::uint32_t steps) {
    const auto found = std::find_if(kSchedules.begin(), kSchedules.end(),
                                    [schedule](const Schedule& s) { return s.name == schedule; });
    if (found == kSchedules.end())
        return Error{Code::not_found, fmt::format("no schedule is called \"{}\"; there are {}", schedule,
                                                  fmt::join(schedule_names(), ", "))};
    PUMICE_TRY(check_steps(table, steps));
    return found->make(table, steps);
}

std::vector<float> karras_sigmas(double sigma_min, double sigma_max, std::uint32_t steps, double rho) {
    const double from = exact::pow(sigma_max, 1 / rho), to = exact::pow(sigma_min, 1 / rho);
    std::vector<float> sigmas(steps + 1);
    for (std::uint32_t i = 0; i < steps; ++i)
        sigmas[i] = static_cast<float>(exact::pow(linspace(from, to, i, steps), rho));
    return sigmas;
}

Result<std::vector<std::uint32_t>> ddim_timesteps(const SigmaTable& table, std::uint32_t steps) {
    PUMICE_TRY(check_steps(table, steps));
    std::vector<std::uint32_t> timesteps;
    for (std::uint32_t t = 0; t < table.size(); t += table.size() / steps)
        timesteps.push_back(std::min(t + 1, table.size() - 1));
    return timesteps;
}

Result<std::vector<float>> ddim_sigmas(const SigmaTable& table, std::uint32_t steps) {
    PUMICE_ASSIGN(const std::vector<std::uint32_t> timesteps, ddim_timesteps(table, steps));
    if (timesteps.size() < 2)
        return Error{Code::invalid_argument, "steps is 1, must be 2 or more for ddim, which makes one step fewer"};
    std::vector<float> sigmas;
    for (std::size_t i = timesteps.size(); i-- > 0;) sigmas.push_back(table.sigmas()[timesteps[i]]);
    return sigmas;
}

}  // namespace pumice
