// A sampler of a plugin, run without a device over models whose answer is known, with a host that can be made to fail.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/schedule.hpp"
#include "verify/counted_math.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {

/// What the model takes to be the picture.
enum class Model : std::uint8_t {
    point,  ///< kPoint everywhere: the only picture there is
    bell,   ///< the mean of what it may be, pictures being normal numbers of mean kPoint and deviation kSpread
};
inline constexpr double kPoint = 0.7, kSpread = 1.5;

struct SamplingOptions : Faults {
    Model model = Model::point;
    std::vector<float> sigmas;
    std::vector<plugins::ParamValue> params;
    const char* hidden = nullptr;   ///< an extension that the host does not have
    std::optional<int> cancel_step;  ///< pumice.progress/1 says "cancelled" after this step, from 1
    bool future = false;             ///< the host is newer: its structs are longer
    std::uint64_t seed = 1;
};

struct Sampled : Tally {
    pumice_sdk_status status = PUMICE_SDK_OK;
    std::string thrown;              ///< or why there is no instance
    std::vector<float> x, start;     ///< the end, the beginning
    int model_calls = 0;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> steps;  ///< what pumice.progress/1 was told
    std::size_t left = 0;            ///< tensors left behind
    std::string error;               ///< what the host says of it; "" for none
};

/// Noise levels as Karras et al. 2022 (arXiv 2206.00364, equation 5) choose them, rho 7, of SD's table; or those of the
/// schedule that the sampler names, which must be of the same library.
Result<std::vector<float>> levels_for(const Plugin&, const plugins::Method&, std::uint32_t steps);

Sampled sample(const Plugin&, std::uint32_t index, const SamplingOptions&);

}  // namespace pumice::verify
