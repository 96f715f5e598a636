#include "models/model.hpp"

#include <utility>

#include <fmt/format.h>

#include "weights/parts.hpp"

namespace pumice {
namespace {

/// Activations and staging of a 512x512 picture, with room to spare.
constexpr std::uint64_t kWorkingBytes = std::uint64_t(640) << 20;
/// Of what is free, for latents and small buffers that are made later.
constexpr std::uint64_t kKeptBack = std::uint64_t(64) << 20;
constexpr std::uint64_t kKeptBackPart = 16;
constexpr std::uint64_t kTextWorkingBytes = std::uint64_t(4) << 20;

Result<Tokenizer> tokenizer_for(const std::filesystem::path& model_file, const TextConfig& text) {
    std::error_code ignored;
    const bool whole = std::filesystem::is_directory(model_file, ignored);
    auto folder = whole ? model_file / "tokenizer" : model_file.parent_path();
    if (whole && !std::filesystem::exists(folder, ignored)) folder = model_file / "tokenizer_2";  // XL's refiner
    if (text.layout == TextLayout::bert) {
        PUMICE_ASSIGN(WordPieces pieces, WordPieces::load(folder / "vocab.txt"));
        if (pieces.size() > text.vocabulary)
            return Error{Code::bad_format, fmt::format("{}: {} tokens, but the text encoder has {}",
                                                       (folder / "vocab.txt").string(), pieces.size(), text.vocabulary)};
        return Tokenizer::of_word_pieces(std::move(pieces), text.positions);
    }
    if (std::filesystem::exists(folder / "vocab.json", ignored) &&
        std::filesystem::exists(folder / "merges.txt", ignored))
        return Tokenizer::load(folder);
    return Tokenizer::embedded();
}

bool is_tiny_vae(const WeightFile& file) {
    return find_taesd_decoder(file) || find_taesd_encoder(file);
}

/// The model's file, with the parts that the options name from elsewhere. A tiny autoencoder is none of them: it is
/// given back in `tiny`.
Result<WeightFile> open_with_parts(const std::filesystem::path& path, const ModelOptions& options,
                                   std::optional<WeightFile>& tiny) {
    auto file = WeightFile::open(path);
    for (const auto& [other, part] :
         {std::pair(options.vae_file, ModelPart::vae), std::pair(options.text_encoder_file, ModelPart::text)}) {
        if (!file || other.empty()) continue;
        PUMICE_ASSIGN(const WeightFile opened, WeightFile::open(other));
        if (part == ModelPart::vae && is_tiny_vae(opened)) tiny = opened;
        else file = with_part(*file, opened, part);
    }
    return file;
}

Error wrong_latent(const WeightFile& file, std::uint32_t channels, std::uint32_t wanted) {
    return {Code::unsupported, fmt::format("{}: a tiny autoencoder of {} latent channels, for a model of {}",
                                           file.path(), channels, wanted)};
}

}  // namespace

Precision default_precision(const Capabilities& caps) {
    return caps.storage_16bit ? Precision::fp16 : Precision::fp32;
}

Model::Model(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels, WeightFile file,
             ModelConfig config, Tokenizer tokenizer, const ModelOptions& options)
    : device_(std::move(device)),
      kernels_(std::move(kernels)),
      file_(std::move(file)),
      config_(std::move(config)),
      tokenizer_(std::move(tokenizer)),
      options_(options),
      unet_(device_, kernels_, file_, std::string(kUnetPrefix)),
      vae_(device_, kernels_, file_, std::string(kVaePrefix)) {
    const std::uint64_t budget =
        options_.memory_limit ? options_.memory_limit : device_->allocator().device_bytes_free();
    std::uint64_t text_bytes = 0;
    for (const TextConfig& text : config_.text) {
        text_.emplace_back(device_, kernels_, file_, text.prefix);
        text_bytes += text_.back().file_bytes();
    }
    seems_to_fit_ = fits_at_once_ = text_bytes + unet_.file_bytes() + vae_.file_bytes() + kWorkingBytes <= budget;
}

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels,
                                           const std::filesystem::path& path, const ModelOptions& options) {
    std::optional<WeightFile> tiny;
    PUMICE_ASSIGN(WeightFile file, open_with_parts(path, options, tiny));
    PUMICE_ASSIGN(ModelConfig config, model_config(file));
    if (options.prediction != PredictionHint::from_file) {
        config.v_prediction = options.prediction != PredictionHint::eps;
        config.zero_terminal_snr = options.prediction == PredictionHint::v_zero_snr;
    }
    PUMICE_ASSIGN(Tokenizer tokenizer, tokenizer_for(path, config.text.front()));
    if (options.memory_limit) device->allocator().set_limit(options.memory_limit);
    std::unique_ptr<Model> model(new Model(std::move(device), std::move(kernels), std::move(file), std::move(config),
                                           std::move(tokenizer), options));
    if (tiny) PUMICE_TRY(model->use_tiny_vae(*std::move(tiny)));
    return model;
}

Status Model::use_tiny_vae(WeightFile file) {
    tiny_file_ = std::move(file);
    const auto use = [&](std::optional<TaesdHalf> half, std::optional<TinyVae>& place) -> Status {
        if (!half) return {};
        if (half->latent_channels != config_.vae.latent_channels)
            return wrong_latent(*tiny_file_, half->latent_channels, config_.vae.latent_channels);
        place.emplace(TinyVae{*half, WeightSet(device_, kernels_, *tiny_file_, half->prefix)});
        return {};
    };
    PUMICE_TRY(use(find_taesd_encoder(*tiny_file_), tiny_encoder_));
    return use(find_taesd_decoder(*tiny_file_), tiny_decoder_);
}

void Model::release_vae_weights() {
    vae_.release();
    for (std::optional<TinyVae>* half : {&tiny_encoder_, &tiny_decoder_})
        if (*half) (*half)->weights.release();
}

std::uint64_t Model::make_room(std::uint64_t bytes, const WeightSet* keep) {
    const Allocator& allocator = device_->allocator();
    const auto room = [&] {
        const std::uint64_t free = allocator.device_bytes_free();
        const std::uint64_t whole = options_.memory_limit ? options_.memory_limit : free;
        const std::uint64_t kept_back = std::min(kKeptBack, whole / kKeptBackPart);
        return free > kept_back ? free - kept_back : 0;
    };
    if (room() >= bytes) return room();
    fits_at_once_ = false;
    for (WeightSet& text : text_)
        if (keep && &text != keep) text.release();
    for (WeightSet* set : {&unet_, &vae_})
        if (set != keep) set->release();
    for (std::optional<TinyVae>* half : {&tiny_encoder_, &tiny_decoder_})
        if (*half && &(*half)->weights != keep) (*half)->weights.release();
    if (room() < bytes && others_leave_) others_leave_();
    return room();
}

void Model::release_weights() {
    release_text_weights();
    unet_.release();
    release_vae_weights();
}

void Model::make_room_for_text() {
    std::uint64_t bytes = kTextWorkingBytes;
    for (const WeightSet& text : text_) bytes += text.loaded().empty() ? text.file_bytes() : 0;
    if (bytes > kTextWorkingBytes) (void)make_room(bytes, nullptr);  // loading says what is missing
}

const AdapterTargets& Model::adapter_targets() {
    if (!adapter_targets_) adapter_targets_ = std::make_unique<AdapterTargets>(file_);
    return *adapter_targets_;
}

void Model::set_adapters(AdapterSet adapters) {
    const auto set =
        adapters.entries().empty() ? nullptr : std::make_shared<const AdapterSet>(std::move(adapters));
    const bool wide = precision() != Precision::fp16;
    for (WeightSet& text : text_) text.set_adapters(set, wide);
    unet_.set_adapters(set, wide);
}

}  // namespace pumice
