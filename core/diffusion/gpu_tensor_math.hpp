// TensorMath on the device: the latents stay there between steps.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/precision.hpp"
#include "diffusion/rng.hpp"
#include "diffusion/tensor_math.hpp"
#include "graph/program.hpp"

namespace pumice {

/// Fills {n, c, h, w} with the next draw of each picture.
using DrawNoise = std::function<Status(std::span<float> nchw)>;
DrawNoise draw_from(BatchNoise noise, Shape latents);

/// Fills {n, c, h, w} with an increment of each picture's Brownian path; see TensorMath::brownian.
using DrawBrownian =
    std::function<Status(std::span<float> nchw, double lowest, double highest, double from, double to)>;
/// Paths of these seeds (picture i: seed + i), whatever the options say of variations.
DrawBrownian brownian_from(const NoiseOptions& options, Shape latents);

/// Latents are f32 {n, h, w, c} in buffers of their own. Each operation is a program of one or two dispatches, recorded
/// when first asked for with these latents and replayed after that; weights go through a small buffer. Noise is drawn
/// on the host, whose numbers are the same for every device, and uploaded.
class GpuTensorMath final : public TensorMath {
public:
    /// shape.c is a multiple of 4. The kernels outlive this. Sums of more than four terms take several dispatches where
    /// the device has too few bindings, or with terms_a_dispatch 4; the results are the same. In Precision::exact results
    /// are the same bits on every driver.
    static Result<std::unique_ptr<GpuTensorMath>> create(std::shared_ptr<Device>, KernelCache&, Shape, Precision,
                                                         DrawNoise, DrawBrownian = {},
                                                         std::uint32_t terms_a_dispatch = 8);
    ~GpuTensorMath() override;

    Result<Latent> create_latent() override;
    Status linear_combination(const Latent& out, std::span<const LatentTerm> terms) override;
    Status noise(const Latent& out) override;
    Status brownian(const Latent& out, double lowest, double highest, double from, double to) override;
    std::array<std::uint32_t, 4> nchw() const override { return {shape_.n, shape_.c, shape_.h, shape_.w}; }
    Result<std::vector<LatentNorms>> norms(const Latent&) override;
    Status affine(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) override;
    Status upload(const Latent& out, std::span<const float> nchw) override;
    Result<std::vector<float>> download(const Latent&) override;

    /// out = a * mask + b * (1 - mask); the mask's numbers are in 0…1. `out` may be one of them.
    Status blend(const Latent& out, const Latent& a, const Latent& b, const Latent& mask);

    /// A handle for memory of the caller's (a denoiser's input or output), f32 of this shape.
    Result<Latent> wrap(BufferRange);
    /// Where a latent lies.
    const BufferRange& range(const Latent& latent) const { return slots_[latent.slot()].range; }

    /// Programs recorded so far: a sampler's steps after the first few add none.
    std::size_t programs() const { return programs_.size(); }

private:
    enum class Slot : std::uint8_t { free, held, wrapped, retired };
    struct Place {
        BufferRange range;
        Slot state = Slot::free;
    };
    /// What is done (see the .cpp's Operation), to which slot, from which slots.
    using Key = std::vector<std::uint32_t>;

    GpuTensorMath(std::shared_ptr<Device>, KernelCache&, Shape, Precision, DrawNoise, DrawBrownian);
    void release(std::uint32_t slot) noexcept override;
    Result<Program*> program(const Key& key);
    void build(Graph& graph, const Key& key) const;
    TensorId tensor(Graph& graph, std::uint32_t slot) const;
    Status run_upload(const Latent& out);

    std::shared_ptr<Device> device_;
    KernelCache& kernels_;
    Shape shape_;
    Precision precision_;
    DrawNoise draw_;
    DrawBrownian draw_brownian_;
    bool eight_terms_ = true;  ///< in one dispatch
    std::vector<Place> slots_;
    BufferRange weights_;  ///< of a combination's dispatches, one row of kMaxTerms floats each
    BufferRange norms_;    ///< partial sums of `norms`
    BufferRange affine_;   ///< numbers of `affine`
    BufferRange nchw_;     ///< a latent's numbers on their way in or out
    std::vector<float> host_;
    Arena arena_;
    std::map<Key, std::unique_ptr<Program>> programs_;
};

}  // namespace pumice
