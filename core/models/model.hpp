// A checkpoint opened for use on a device: text encoder, UNet and VAE, each brought to the device when needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "kernels/kernel.hpp"
#include "models/configs.hpp"
#include "models/taesd.hpp"
#include "models/weight_set.hpp"
#include "text/tokenizer.hpp"
#include "vulkan/device.hpp"

namespace pumice {

/// What is known of the prediction beside the file (pumice.h's numbers).
enum class PredictionHint : std::uint8_t { from_file = 0, eps = 1, v = 2, v_zero_snr = 3 };

struct ModelOptions {
    Precision precision = Precision::fp16;
    std::uint64_t memory_limit = 0;  ///< bytes for weights and activations together; 0: what the device reports as free
    /// Of other files; empty: the model's own. The tiny autoencoder (models/taesd.hpp) takes the place of those halves
    /// of the VAE that its file has.
    std::filesystem::path vae_file = {}, text_encoder_file = {};
    PredictionHint prediction = PredictionHint::from_file;
};

/// fp16 where the device has 16-bit storage, else fp32.
Precision default_precision(const Capabilities&);

/// Not thread-safe: one request at a time.
class Model {
public:
    /// Opens and checks a checkpoint of SD 1, 2, XL or XL's refiner, of any format (weights/weight_file.hpp); weights go
    /// to the device at first use. Errors name the file and, for a missing or misshapen tensor, the tensor. A vocab.json
    /// and merges.txt beside the file, or in tokenizer/ of a folder, replace the tokenizer that is built in.
    static Result<std::unique_ptr<Model>> load(std::shared_ptr<Device>, std::shared_ptr<KernelCache>,
                                               const std::filesystem::path& file, const ModelOptions&);
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    const std::shared_ptr<Device>& device() const { return device_; }
    const std::shared_ptr<KernelCache>& kernels() const { return kernels_; }
    const WeightFile& file() const { return file_; }
    const ModelConfig& config() const { return config_; }
    const Tokenizer& tokenizer() const { return tokenizer_; }
    Precision precision() const { return options_.precision; }

    /// Of text encoder i of config().text.
    WeightSet& text_weights(std::size_t i = 0) { return text_[i]; }
    void release_text_weights() {
        for (WeightSet& text : text_) text.release();
    }
    WeightSet& unet_weights() { return unet_; }
    WeightSet& vae_weights() { return vae_; }
    /// What takes the place of a half of the VAE, or null.
    struct TinyVae {
        TaesdHalf half;
        WeightSet weights;
    };
    TinyVae* tiny_encoder() { return tiny_encoder_ ? &*tiny_encoder_ : nullptr; }
    TinyVae* tiny_decoder() { return tiny_decoder_ ? &*tiny_decoder_ : nullptr; }
    void release_vae_weights();

    /// What adapters can change, found at the first call.
    const AdapterTargets& adapter_targets();
    /// Has the adapters, and no others, merged into the weights from the next graph on (WeightSet::set_adapters): of
    /// their own type in fp16, in f32 otherwise.
    void set_adapters(AdapterSet);

    /// Whether all three parts and room for activations fit on the device together. If not, a pipeline releases the
    /// weights of one part before it brings in the next.
    bool fits_at_once() const { return fits_at_once_; }
    /// From here on it does not: something larger than was thought had to be placed.
    void note_tight() { fits_at_once_ = false; }
    /// Bytes that are free for weights and activations, some being kept back for what is small. Where that is less than
    /// `bytes`, all weights but `keep` (null: the text encoders') leave first, and then those of other models
    /// (set_others_leave). A program that uses weights holds on to their memory.
    std::uint64_t make_room(std::uint64_t bytes, const WeightSet* keep);
    /// Room for the text encoders, if they are not there.
    void make_room_for_text();
    /// What note_tight() said holds for a request.
    void begin_request() { fits_at_once_ = seems_to_fit_; }
    /// What has the weights of other models on the device leave it; called while a request of this model runs.
    void set_others_leave(std::function<void()> leave) { others_leave_ = std::move(leave); }
    /// All of them leave the device.
    void release_weights();
    std::uint64_t memory_limit() const { return options_.memory_limit; }

private:
    Model(std::shared_ptr<Device>, std::shared_ptr<KernelCache>, WeightFile, ModelConfig, Tokenizer,
          const ModelOptions&);
    Status use_tiny_vae(WeightFile);
    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    WeightFile file_;
    ModelConfig config_;
    Tokenizer tokenizer_;
    ModelOptions options_;
    std::vector<WeightSet> text_;
    WeightSet unet_, vae_;
    std::optional<WeightFile> tiny_file_;
    std::optional<TinyVae> tiny_encoder_, tiny_decoder_;
    bool seems_to_fit_ = true, fits_at_once_ = true;
    std::function<void()> others_leave_;
    std::unique_ptr<AdapterTargets> adapter_targets_;
};

}  // namespace pumice
