// Noise levels of Stable Diffusion's training. The lists of them that samplers walk down are made by plugins
// (plugins/samplers).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pumice {

/// Which time step the network is told for a noise level between two of the table.
enum class TimestepRounding : std::uint8_t {
    interpolated,  ///< linear in log sigma, fractional (k-diffusion)
    nearest,       ///< the nearest in log sigma (k-diffusion with quantize, ComfyUI)
};

/// What of a table of noise levels is rounded to float32 first; near the lowest level it moves them by 1e-5 of
/// themselves.
enum class TableRounding : std::uint8_t {
    alphas,  ///< the cumulated products, the levels being made from them (ldm, k-diffusion, AUTOMATIC1111)
    sigmas,  ///< the levels themselves (Forge, ComfyUI)
};

/// The noise levels a network was trained with: one a time step 0…size()-1, rising. sigma = sqrt((1-a)/a), a the
/// cumulated product of 1 - beta (Karras et al. 2022, arXiv 2206.00364, appendix C.3.4).
class SigmaTable {
public:
    /// Betas of "scaled linear" form, from `first` to `last` linear in their square root (ldm make_beta_schedule): what
    /// SD 1.x and 2.x were trained with. Products in double.
    static SigmaTable scaled_linear(double first = 0.00085, double last = 0.012, std::uint32_t steps = 1000,
                                    TableRounding rounding = TableRounding::alphas);

    /// The same, shifted and stretched so that its last level is all but pure noise (Lin et al. 2023, arXiv 2305.08891,
    /// algorithm 1), as forge and ComfyUI have it: the last alpha is 4.8973451890853435e-08, not 0.
    static SigmaTable zero_terminal_snr();

    std::uint32_t size() const { return static_cast<std::uint32_t>(sigmas_.size()); }
    std::span<const float> alphas_cumprod() const { return alphas_cumprod_; }
    std::span<const float> sigmas() const { return sigmas_; }
    double sigma_min() const { return double(sigmas_.front()); }
    double sigma_max() const { return double(sigmas_.back()); }

    /// sigma > 0; those outside the table give its first or last time step.
    double sigma_to_t(double sigma, TimestepRounding rounding = TimestepRounding::interpolated) const;
    /// t is clamped to [0, size()-1]; linear in log sigma between time steps.
    double t_to_sigma(double t) const;

private:
    SigmaTable() = default;
    void add(float alpha_cumprod, float sigma);
    std::vector<float> alphas_cumprod_, sigmas_;
    std::vector<double> log_sigmas_;
};

}  // namespace pumice
