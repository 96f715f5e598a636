#include "pipelines/vae_decoder.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "models/vae.hpp"
#include "ops/ops.hpp"
#include "pipelines/vae_tiles.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

/// Drops the fourth channel.
template <class T>
void to_rgb(const std::vector<T>& rgbx, std::span<T> rgb) {
    for (std::size_t i = 0, pixels = rgb.size() / 3; i < pixels; ++i)
        for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = rgbx[4 * i + c];
}

/// More than any device has: what would be taken if it had all.
constexpr std::uint64_t kAll = std::uint64_t(1) << 60;

}  // namespace

VaeDecoder::VaeDecoder() = default;
VaeDecoder::~VaeDecoder() = default;

std::uint64_t VaeDecodePlan::peak() const {
    return tiled ? kept + std::max(first.peak(), second.peak()) : first.peak();
}

std::function<TensorId(Graph&)> VaeDecoder::whole(Model& model, Model::TinyVae* tiny, const BufferRange& latent,
                                                  std::uint32_t height, std::uint32_t width, TensorId* picture,
                                                  TensorId* bytes) {
    return [&model, tiny, latent, height, width, picture, bytes](Graph& g) {
        const TensorId x = g.external({1, height, width, 4}, DType::f32, latent, "latent");
        if (tiny) {
            *picture = taesd_decode(g, tiny->weights, tiny->half, ops::cast(g, x, g.activation()));
        } else {
            const std::array unscaled{ops::Term{x, static_cast<float>(1.0 / model.config().vae.scaling_factor)}};
            *picture = vae_decode(g, model.vae_weights(), ops::cast(g, ops::linear_combination(g, unscaled), g.activation()));
        }
        if (g.error()) return TensorId{};
        *bytes = tiny ? ops::to_image(g, *picture, 1, 0) : ops::to_image(g, *picture);
        g.keep(*picture);
        g.keep(*bytes);
        return *picture;
    };
}

Result<VaeDecodePlan> VaeDecoder::plan(Model& model, std::uint32_t height, std::uint32_t width, Seamless seamless,
                                       std::uint64_t free, Model::TinyVae* tiny) {
    if (!tiny) tiny = model.tiny_decoder();
    TensorId picture, bytes;
    const BufferRange latent{Buffer::placeholder(), 0, std::uint64_t(height) * width * 4 * sizeof(float)};
    const CheckedProgram::Options options{.name = "VAE decoder",
                                          .seamless = seamless,
                                          .build = whole(model, tiny, latent, height, width, &picture, &bytes)};
    VaeDecodePlan plan;
    auto at_once = CheckedProgram::plan(model, tiny ? tiny->weights : model.vae_weights(), options, free);
    if (!at_once) {
        if (at_once.error().code != Code::out_of_device_memory || tiny) return std::move(at_once.error());
        return plan_vae_tiles(model, height, width, seamless, free);
    }
    plan.first = *std::move(at_once);
    return plan;
}

Result<std::unique_ptr<VaeDecoder>> VaeDecoder::create(Model& model, std::uint32_t height, std::uint32_t width,
                                                       Seamless seamless, Model::TinyVae* tiny) {
    if (!tiny) tiny = model.tiny_decoder();
    std::unique_ptr<VaeDecoder> made(new VaeDecoder);
    made->device_ = model.device();
    const std::uint64_t bytes = std::uint64_t(height) * width * 4 * sizeof(float);
    PUMICE_ASSIGN(made->latent_, make_range(*model.device(), bytes, Intent::device, "latent"));
    made->tiny_ = tiny != nullptr;
    WeightSet& weights = tiny ? tiny->weights : model.vae_weights();
    PUMICE_ASSIGN(const VaeDecodePlan wanted, plan(model, height, width, seamless, kAll, tiny));
    const std::uint64_t room = model.make_room(wanted.first.peak(), &weights);
    PUMICE_ASSIGN(const VaeDecodePlan plan, VaeDecoder::plan(model, height, width, seamless, room, tiny));
    if (plan.tiled) {
        model.note_tight();
        made->tiles_ = std::make_unique<VaeTiles>(model, plan, made->latent_, height, width, seamless);
        return made;
    }
    PUMICE_ASSIGN(made->program_,
                  CheckedProgram::create(model, weights,
                                         {.name = "VAE decoder",
                                          .seamless = seamless,
                                          .build = whole(model, tiny, made->latent_, height, width, &made->picture_,
                                                         &made->bytes_)}));
    return made;
}

Status VaeDecoder::run(const std::atomic<bool>* cancel) {
    if (tiles_) return tiles_->run(cancel);
    if (tiny_) {
        std::vector<float> latent(latent_.size / sizeof(float));
        PUMICE_TRY(read_range(device_, latent_, std::as_writable_bytes(std::span(latent))));
        taesd_clamp(latent);
        PUMICE_TRY(write_range(device_, latent_, std::as_bytes(std::span<const float>(latent))));
    }
    return program_->run(cancel);
}

std::uint32_t VaeDecoder::tiles() const { return tiles_ ? tiles_->count() : 0; }

bool VaeDecoder::fell_back() const { return tiles_ ? tiles_->fell_back() : program_->fell_back(); }

Status VaeDecoder::read_rgb(std::span<std::uint8_t> rgb) {
    if (tiles_) {
        to_rgb(tiles_->bytes(), rgb);
        return {};
    }
    std::vector<std::uint8_t> rgbx(rgb.size() / 3 * 4);
    PUMICE_TRY(read_range(device_, program_->program().range(bytes_), std::as_writable_bytes(std::span(rgbx))));
    to_rgb(rgbx, rgb);
    return {};
}

Status VaeDecoder::read_float(std::span<float> rgb) {
    if (tiles_) {
        to_rgb(tiles_->picture(), rgb);
        return {};
    }
    std::vector<float> rgbx(rgb.size() / 3 * 4);
    PUMICE_TRY(read_range(device_, program_->program().range(picture_), std::as_writable_bytes(std::span(rgbx))));
    to_rgb(rgbx, rgb);
    return {};
}

}  // namespace pumice
