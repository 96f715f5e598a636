// The samplers and schedules of this plugin, and what they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pumice/sdk.hpp"

namespace pumice::samplers {

using sdk::Sampling;
using sdk::Tensor;

struct SamplerMethod {
    pumice_sampler_descriptor descriptor;
    void (*run)(Sampling&);
};

/// What a schedule computes from. The table's logarithms are made once a run.
class Scheduling {
public:
    Scheduling(const pumice_host_math_1& math, const pumice_schedule_call& call);

    const pumice_host_math_1& math;
    const pumice_schedule_call& call;

    std::uint32_t steps() const { return call.steps; }
    std::uint32_t size() const { return call.table_size; }
    double sigma(std::uint32_t t) const { return static_cast<double>(call.table[t]); }
    double lowest() const { return sigma(0); }
    double highest() const { return sigma(size() - 1); }
    double param(std::size_t i) const { return call.params[i].number; }
    /// t is clamped to the table; linear in log sigma between time steps.
    double t_to_sigma(double t) const;

private:
    std::vector<double> log_sigmas_;
};

struct ScheduleMethod {
    pumice_schedule_descriptor descriptor;
    /// All levels, the 0 at the end included.
    std::vector<float> (*run)(const Scheduling&);
};

std::vector<SamplerMethod> euler_methods();         ///< euler.cpp
std::vector<SamplerMethod> second_order_methods();  ///< second_order.cpp
std::vector<SamplerMethod> dpm_solver_methods();    ///< dpm_solver.cpp
std::vector<SamplerMethod> multistep_methods();     ///< multistep.cpp
std::vector<SamplerMethod> unipc_methods();         ///< unipc.cpp
std::vector<ScheduleMethod> schedule_methods();     ///< schedules.cpp

/// How much noise a step from `sigma` to `next` adds, and to which level it must go before, so that it ends at `next`.
struct AncestralStep {
    double down, up;
};
AncestralStep ancestral_step(double sigma, double next, double eta);

/// Adds noise before a step, as s_churn, s_noise, s_tmin and s_tmax (parameters 0 to 3) ask for, and gives the level
/// after it. Karras et al. 2022 (arXiv 2206.00364), algorithm 2, lines 4 to 6. With churn a noise is drawn in every
/// step, used or not.
class Churn {
public:
    explicit Churn(Sampling& s);
    double raise(double sigma);

private:
    Sampling& s_;
    double churn_, noise_, least_, most_;
    Tensor eps_;
};

/// The Euler step of dx/dsigma = (x - denoised) / sigma, in place.
void euler_step(Sampling& s, const Tensor& x, const Tensor& denoised, double sigma, double next);

// Parameters that several methods have.
extern const pumice_param kEta, kEtaZero, kNoise, kChurn, kChurnLeast, kChurnMost;

}  // namespace pumice::samplers
