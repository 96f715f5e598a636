// The UNet as a denoiser: one recorded program for a latent size, replayed each step.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipelines/checked_program.hpp"
#include "pipelines/control.hpp"

namespace pumice {

struct UnetDenoiserOptions {
    std::uint32_t pictures = 1;             ///< of the batch
    std::uint32_t height = 64, width = 64;  ///< of the latent
    std::uint32_t context_tokens = 77;      ///< 77 a chunk
    bool guidance = true;                   ///< run conditional and unconditional as one batch of twice the pictures
    /// With guidance: `denoised` gets the conditional prediction alone, and this the unconditional one.
    BufferRange uncond = {};
    std::vector<std::string> perturbed = {};  ///< see UnetInputs::perturbed
    const ControlSet* controls = nullptr;     ///< outlives the denoiser
    ControlSet::Mask active_controls = 0;     ///< those that are a part of this program
    Arena* arena = nullptr;                   ///< see CheckedProgram::Options
    bool profile = false;
    Seamless seamless = {};
};

/// What a step needs beside the latent.
struct DenoiseParameters {
    float c_in = 1, c_skip = 1, c_out = 1;  ///< scalings of the denoiser at this sigma
    float timestep = 0;                     ///< model time, may be fractional
    float guidance_scale = 1;
    bool conditional = true;                ///< without guidance: the prediction is that with the prompt
};

class UnetDenoiser {
public:
    /// Brings the UNet's weights to the device and records a program that reads x and writes denoised, both {pictures,
    /// height, width, 4} f32. The model outlives this.
    static Result<std::unique_ptr<UnetDenoiser>> create(Model&, const BufferRange& x, const BufferRange& denoised,
                                                        const UnetDenoiserOptions&);

    /// What that would take of `free` bytes, nothing being loaded; controls and plugins are not in it.
    static Result<ProgramPlan> plan(Model&, const UnetDenoiserOptions&, std::uint64_t free);

    /// {rows, tokens, context_dim} f32 where rows is the pictures' unconditional contexts and then the conditional
    /// ones, or without guidance the conditional ones alone.
    Status set_context(std::span<const float> values) { return set(context_, "context", values); }
    /// {rows, vector channels} f32, in the same order; nothing for a UNet without.
    Status set_vector(std::span<const float> values) { return set(vector_, "vector", values); }
    /// {rows, height, width, channels beyond the latent's, padded to a multiple of 4} f32: what inpainting and editing
    /// UNets see beside the noisy latent, not scaled; nothing for others.
    Status set_extra(std::span<const float> values) { return set(extra_, "extra channels", values); }

    /// Runs once; see CheckedProgram::run.
    Status run(const DenoiseParameters&, const std::atomic<bool>* cancel = nullptr);
    bool fell_back() const { return program_->fell_back(); }
    Program& program() { return program_->program(); }
    /// Bytes of weights that come and go in a run.
    std::uint64_t streamed() const { return program_->stream() ? program_->stream()->streamed_bytes() : 0; }

private:
    UnetDenoiser() = default;
    static Result<std::unique_ptr<UnetDenoiser>> prepare(Model&, const BufferRange& x, const BufferRange& denoised,
                                                         const UnetDenoiserOptions&, bool planning,
                                                         CheckedProgram::Options&);
    Status set(const BufferRange&, const char* what, std::span<const float> values);

    Status write_control_weights(bool conditional);

    std::shared_ptr<Device> device_;
    BufferRange context_, params_, timesteps_, vector_, extra_, control_params_;
    const ControlSet* controls_ = nullptr;
    std::vector<ControlSet::Use> control_uses_;  ///< of each residual in the program
    std::uint32_t rows_ = 0, unconditional_rows_ = 0;
    std::unique_ptr<CheckedProgram> program_;
};

}  // namespace pumice
