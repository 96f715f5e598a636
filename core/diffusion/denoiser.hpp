// From what the network predicts to the picture without noise.
#pragma once

#include <cmath>
#include <cstdint>

namespace pumice {

/// What the network was trained to predict.
enum class Prediction : std::uint8_t {
    eps,  ///< the noise (SD 1.x)
    v,    ///< the velocity (Salimans and Ho 2022, arXiv 2202.00512; SD 2.x at 768)
};

/// denoised = c_skip * x + c_out * network(c_in * x, sigma_to_t(sigma)), where x = picture + sigma * noise
/// (Karras et al. 2022, arXiv 2206.00364, equation 7 and table 1).
struct DenoiserScalings {
    double c_skip, c_out, c_in;
};

inline DenoiserScalings denoiser_scalings(Prediction prediction, double sigma) {
    const double total = sigma * sigma + 1, c_in = 1 / std::sqrt(total);
    if (prediction == Prediction::v) return {1 / total, -sigma * c_in, c_in};
    return {1, -sigma, c_in};
}

}  // namespace pumice
