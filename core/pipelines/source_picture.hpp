// The picture that a request begins with, made ready for the network, and the result laid back onto it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "graph/tensor.hpp"
#include "pipelines/pixels.hpp"

namespace pumice {

/// What the network begins with where the mask is (AUTOMATIC1111's "masked content").
enum class MaskFill : std::uint8_t {
    original,  ///< what is there
    fill,      ///< the colours around it
    noise,     ///< noise in the latent
    nothing,   ///< zeros in the latent
};

struct PictureInput {
    Pixels image;  ///< RGB of any size; empty: the request is one of text alone
    Pixels mask;   ///< one channel, of the image's size: 255 is painted anew, 0 is kept; empty: all is
    float strength = 0.75f;  ///< 0…1: how much of the way from noise is gone
    ResizeMode resize = ResizeMode::stretch;
    float mask_blur = 4;  ///< pixels, 0…64
    MaskFill fill = MaskFill::original;
    bool only_masked = false;        ///< the part around the mask is painted at the request's size
    std::uint32_t padding = 32;      ///< pixels around that part, 0…4096
    /// Pixels added at its edges and painted (outpainting): the request's size is then that of all of it.
    Margins margins;
    float image_scale = 1.5f;        ///< of models that edit pictures: how closely to follow it
    bool given() const { return !image.empty(); }
};

class SourcePicture {
public:
    /// Sizes in pixels of the picture that the network makes. Code::invalid_argument names what does not fit.
    static Result<SourcePicture> prepare(const PictureInput&, std::uint32_t width, std::uint32_t height);

    const Pixels& image() const { return image_; }  ///< RGB of the size, what the latent begins with
    const Pixels& mask() const { return mask_; }    ///< of the same size; empty without
    /// The mask over a latent of height x width: 1 is painted anew, 0 kept. Pillow's bicubic, rounded.
    std::vector<float> latent_mask(std::uint32_t height, std::uint32_t width) const;
    /// What models made for inpainting see: the picture with gray where the mask is.
    Pixels masked_image() const;

    /// What the network made, on what was not masked.
    Pixels compose(Pixels made) const;

private:
    Pixels image_, mask_;
    Pixels original_, original_mask_;  ///< what the result is laid over
    Region region_;                    ///< of the original that the network painted
    bool only_masked_ = false;
};

/// The decimal number that a float was written as: 0.7 for 0.7f, which is a little less. Steps are counted with products
/// of it, as the web UI does in double.
double as_written(float);

/// The last of the noise levels, from where a picture of this strength starts: AUTOMATIC1111's, which makes t + 1 steps of
/// t = floor(min(strength, 0.999) * steps). `sigmas` are those of a whole run; where they do not end with 0, as of
/// samplers over time steps, the last t of them, two at least.
std::vector<float> sigmas_for_strength(const std::vector<float>& sigmas, std::uint32_t steps, double strength);
/// The same for a t that is known.
std::vector<float> last_sigmas(const std::vector<float>& sigmas, std::size_t t);

}  // namespace pumice
