// Latents to pictures, one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "pipelines/checked_program.hpp"

namespace pumice {

/// How a picture is decoded.
struct VaeDecodePlan {
    bool tiled = false;
    int level = 0;                        ///< where the decoder is cut in two (models/vae.hpp)
    std::uint32_t tile_h = 0, tile_w = 0; ///< of the first part's result, with what lies around
    std::uint32_t tiles_y = 1, tiles_x = 1;
    ProgramPlan first, second;            ///< not tiled: the first is the whole
    std::uint64_t kept = 0;               ///< bytes of the first part's result
    std::uint64_t peak() const;
};

class VaeTiles;

class VaeDecoder {
public:
    /// Whole where that fits; else the first part of the decoder, which is small, whole, and the second in tiles, normed by
    /// the whole picture's statistics. Code::out_of_device_memory where no tile is small enough.
    static Result<VaeDecodePlan> plan(Model&, std::uint32_t height, std::uint32_t width, Seamless, std::uint64_t free,
                                      Model::TinyVae* tiny = nullptr);

    /// Brings the VAE's weights to the device and records, for latents {height, width, 4}. `tiny` takes the VAE's place;
    /// null: the model's own, if it has one. Model and `tiny` outlive this.
    static Result<std::unique_ptr<VaeDecoder>> create(Model&, std::uint32_t height, std::uint32_t width,
                                                      Seamless seamless = {}, Model::TinyVae* tiny = nullptr);

    /// One picture's latent, f32 NHWC, scaled as the UNet has it, is copied here before run().
    const BufferRange& input() const { return latent_; }

    Status run(const std::atomic<bool>* cancel = nullptr);
    bool fell_back() const;
    std::uint32_t tiles() const;  ///< 0: whole

    /// The picture of the last run: 8 bits, RGB, row by row; rgb has 3 * (8*height) * (8*width) bytes.
    Status read_rgb(std::span<std::uint8_t> rgb);
    /// The same before clamping: {8*height, 8*width, 3} f32 in about -1…1, of the tiny autoencoder in 0…1.
    Status read_float(std::span<float> rgb);

    ~VaeDecoder();

private:
    VaeDecoder();
    static std::function<TensorId(Graph&)> whole(Model&, Model::TinyVae* tiny, const BufferRange& latent,
                                                 std::uint32_t height, std::uint32_t width, TensorId* picture,
                                                 TensorId* bytes);

    std::shared_ptr<Device> device_;
    BufferRange latent_;
    TensorId picture_, bytes_;
    bool tiny_ = false;
    std::unique_ptr<CheckedProgram> program_;
    std::unique_ptr<VaeTiles> tiles_;  ///< null: whole, by program_
};

}  // namespace pumice
