// Latents to pictures, one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "pipelines/checked_program.hpp"

namespace pumice {

class VaeDecoder {
public:
    /// Brings the VAE's weights to the device and records, for latents {height, width, 4}. `tiny` takes the VAE's place;
    /// null: the model's own, if it has one. Model and `tiny` outlive this.
    static Result<std::unique_ptr<VaeDecoder>> create(Model&, std::uint32_t height, std::uint32_t width,
                                                      Seamless seamless = {}, Model::TinyVae* tiny = nullptr);

    /// One picture's latent, f32 NHWC, scaled as the UNet has it, is copied here before run().
    const BufferRange& input() const { return latent_; }

    Status run(const std::atomic<bool>* cancel = nullptr);
    bool fell_back() const { return program_->fell_back(); }

    /// The picture of the last run: 8 bits, RGB, row by row; rgb has 3 * (8*height) * (8*width) bytes.
    Status read_rgb(std::span<std::uint8_t> rgb);
    /// The same before clamping: {8*height, 8*width, 3} f32 in about -1…1, of the tiny autoencoder in 0…1.
    Status read_float(std::span<float> rgb);

private:
    VaeDecoder() = default;

    std::shared_ptr<Device> device_;
    BufferRange latent_;
    TensorId picture_, bytes_;
    bool tiny_ = false;
    std::unique_ptr<CheckedProgram> program_;
};

}  // namespace pumice
