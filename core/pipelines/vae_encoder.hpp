// Pictures to latents, one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipelines/checked_program.hpp"
#include "pipelines/pixels.hpp"

namespace pumice {

class VaeEncoder {
public:
    /// Brings the VAE's weights to the device and records, for pictures of height x width pixels, multiples of the VAE's
    /// factor. The model outlives this.
    static Result<std::unique_ptr<VaeEncoder>> create(Model&, std::uint32_t height, std::uint32_t width);

    /// The mean of the posterior, not scaled (latent / scaling_factor): f32 NHWC {height/8, width/8, 4}. `rgb` is of this
    /// size. The mean, where AUTOMATIC1111 draws from the posterior: it is what the posterior's own small deviation
    /// scatters about, and needs no noise.
    Result<std::vector<float>> encode(const Pixels& rgb, const std::atomic<bool>* cancel = nullptr);
    bool fell_back() const { return program_->fell_back(); }

private:
    VaeEncoder() = default;

    std::shared_ptr<Device> device_;
    std::uint32_t height_ = 0, width_ = 0;
    BufferRange picture_, mean_;
    std::unique_ptr<CheckedProgram> program_;
};

}  // namespace pumice
